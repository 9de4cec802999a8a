// The samplers of course_utils/sampling.py for the browser; a test compares the two. What Python rounds to
// float32 is rounded here too, so that a token at an edge stays or goes in both.
//
// A race is what is left of a distribution: { ids, logits, lo, hi }. Both arrays have a place for every token,
// in rising order of the logits, of equals the lower id first; the tokens from lo up to hi are in the race.
// Every cut leaves a range, so it only moves lo and hi.

const f32 = Math.fround;
const LOW = 11, BUCKETS = 1 << LOW; // a radix sort of 32 bits takes three passes of 11

/** The ids in rising order of their values (a Float32Array without NaN), of equals the lower id first. */
function rising(values) {
  const n = values.length, bits = new Uint32Array(new Float32Array(values).buffer);
  let keys = new Uint32Array(n), ids = new Uint32Array(n), nextKeys = new Uint32Array(n), nextIds = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const b = values[i] === 0 ? 0 : bits[i]; // −0 equals 0
    keys[i] = b >>> 31 ? ~b : b | 0x80000000; // so turned, the bits of floats rise as the floats do
    ids[i] = i;
  }
  for (let shift = 0; shift < 32; shift += LOW) {
    const starts = new Uint32Array(BUCKETS + 1);
    for (let i = 0; i < n; i++) starts[((keys[i] >>> shift) & (BUCKETS - 1)) + 1]++;
    for (let b = 1; b <= BUCKETS; b++) starts[b] += starts[b - 1];
    for (let i = 0; i < n; i++) {
      const to = starts[(keys[i] >>> shift) & (BUCKETS - 1)]++;
      nextKeys[to] = keys[i];
      nextIds[to] = ids[i];
    }
    [keys, nextKeys, ids, nextIds] = [nextKeys, keys, nextIds, ids];
  }
  return ids;
}

/** The race of all tokens, from their logits by id; one of −∞ is out from the start. */
function raceOf(values) {
  const ids = rising(values), logits = Float32Array.from(ids, (id) => values[id]);
  let lo = 0;
  while (logits[lo] === -Infinity) lo++;
  return { ids, logits, lo, hi: ids.length };
}

/** The same tokens with other logits, change(logit, id), in their new order. */
function reordered(race, change) {
  const { lo, hi } = race, values = new Float32Array(race.ids.length).fill(-Infinity);
  for (let i = lo; i < hi; i++) values[race.ids[i]] = change(race.logits[i], race.ids[i]);
  const ids = race.ids.slice(), logits = race.logits.slice();
  ids.set(rising(values).subarray(values.length - (hi - lo)), lo); // what is out comes before them
  for (let i = lo; i < hi; i++) logits[i] = values[ids[i]];
  return { ids, logits, lo, hi };
}

/** The tokens from lo up to hi alone. */
const cut = ({ ids, logits }, lo, hi) => ({ ids, logits, lo, hi });

/** The probabilities of the tokens from lo up to hi. */
function softmax(race) {
  if (race.p) return race.p; // a race never changes
  const { logits, lo, hi } = race, p = new Float64Array(hi - lo), largest = logits[hi - 1];
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += p[i] = Math.exp(logits[lo + i] - largest);
  for (let i = 0; i < p.length; i++) p[i] /= sum;
  return (race.p = p);
}

/** In nats. */
function entropy(race) {
  if (race.nats !== undefined) return race.nats;
  let nats = 0;
  for (const p of softmax(race)) if (p > 0) nats -= p * Math.log(p);
  return (race.nats = nats);
}

/** Keep the tokens with a probability of at least `bar`, and always the likeliest. */
function atLeast(race, p, bar) {
  const { logits, hi } = race;
  let lo = race.lo;
  while (p[lo - race.lo] < bar && logits[lo] < logits[hi - 1]) lo++;
  return cut(race, lo, hi);
}

const rounded = (race) => new Float32Array(softmax(race)); // as Python has the probabilities

/** By name: (race, value, counts) → the race after it; counts: a Map from an id to its times in the prompt. */
const SAMPLERS = {
  temperature(race, value) {
    const { logits, lo, hi } = race, T = f32(value);
    // A value so small that the largest logit overflows is 0 for this precision.
    if (value > 0 && Number.isFinite(f32(logits[hi - 1] / T))) return reordered(race, (x) => x / T);
    let first = hi - 1; // greedy: of equals the first
    while (first > lo && logits[first - 1] === logits[hi - 1]) first--;
    return cut(race, first, first + 1);
  },

  top_k(race, value) {
    const { logits, hi } = race;
    let lo = Math.max(race.lo, hi - Math.max(value, 1));
    while (lo > race.lo && logits[lo - 1] === logits[lo]) lo--; // all that equal the k-th
    return cut(race, lo, hi);
  },

  top_p(race, value) {
    const p = rounded(race), mayGo = f32(1 - value);
    let lo = race.lo, sum = p[0];
    while (lo < race.hi - 1 && f32(sum) <= mayGo) sum += p[++lo - race.lo];
    return cut(race, lo, race.hi);
  },

  min_p(race, value) {
    const p = rounded(race);
    return atLeast(race, p, f32(f32(value) * p[p.length - 1]));
  },

  typical(race, value) {
    const p = softmax(race), n = p.length;
    const surprise = Float32Array.from(p, (x) => -Math.log(x)), mean = f32(entropy(race)), mass = f32(value);
    const distance = (i) => (i < 0 || i >= n ? Infinity : f32(Math.abs(surprise[i] - mean)));
    let above = 0; // the surprise falls along the race: go outwards from where it passes its mean
    while (above < n && surprise[above] > mean) above++;
    let below = above - 1, sum = 0, farthest = Infinity;
    while (f32(sum) < mass && (below >= 0 || above < n)) {
      farthest = Math.min(distance(below), distance(above));
      sum += f32(p[distance(below) === farthest ? below-- : above++]);
    }
    while (below >= 0 && distance(below) <= farthest) below--;
    while (above < n && distance(above) <= farthest) above++;
    return cut(race, race.lo + below + 1, race.lo + above);
  },

  epsilon: (race, value) => atLeast(race, rounded(race), f32(value)),

  eta(race, value) {
    const p = rounded(race);
    return atLeast(race, p, Math.min(f32(value), f32(f32(Math.sqrt(value)) * f32(Math.exp(-entropy(race))))));
  },

  repetition_penalty: (race, value, counts) =>
    reordered(race, (x, id) => (!counts.has(id) ? x : x < 0 ? x * f32(value) : x / f32(value))),

  frequency_penalty: (race, value, counts) =>
    reordered(race, (x, id) => (counts.has(id) ? x - f32(f32(value) * counts.get(id)) : x)),
};

// ---- drawing --------------------------------------------------------------------------------------

/** 32 bits well mixed: the finaliser of MurmurHash3 (Appleby, 2011). */
function mixed(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The i-th number from 0 to 1 of a seed. */
const uniform = (seed, i) => mixed(mixed(seed) + Math.imul(i + 1, 0x9e3779b9)) / 2 ** 32;

/** The places of n tokens drawn from a race; the same seed draws the same. */
function draws(race, n, seed) {
  const p = softmax(race), sums = new Float64Array(p.length);
  let sum = 0;
  for (let i = 0; i < p.length; i++) sums[i] = sum += p[i];
  return Array.from({ length: n }, (_, i) => {
    const at = uniform(seed, i) * sum;
    let low = 0, high = p.length - 1; // the first place at which the sum is above `at`
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] > at) high = middle;
      else low = middle + 1;
    }
    return race.lo + low;
  });
}
