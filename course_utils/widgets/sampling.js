// The samplers of course_utils/sampling.py for the browser; a test compares the two. What Python rounds to
// float32 is rounded here too, so that a token at an edge stays or goes in both.
//
// A race is what is left of a distribution: { ids, logits, weights, total, lo, hi }. Each array has a place for
// every token, in rising order of the logits, of equals the lower id first; the tokens from lo up to hi are in
// the race, each with the probability weight / total. Every cut leaves a range, so it only moves lo and hi.

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

/** The race of all tokens, from their logits by id. */
function raceOf(values) {
  const ids = rising(values);
  return weighed(ids, values.map((_, place) => values[ids[place]]), 0, ids.length);
}

/** The race of the tokens from lo up to hi, which are in order; one of −∞ is out. */
function weighed(ids, logits, lo, hi) {
  const weights = new Float64Array(ids.length), largest = logits[hi - 1];
  while (logits[lo] === -Infinity) lo++;
  for (let i = lo; i < hi; i++) weights[i] = Math.exp(logits[i] - largest);
  return cut({ ids, logits, weights }, lo, hi);
}

/** The tokens from lo up to hi alone: they keep their weights, and share another total. */
function cut({ ids, logits, weights }, lo, hi) {
  let total = 0;
  for (let i = lo; i < hi; i++) total += weights[i];
  return { ids, logits, weights, total, lo, hi };
}

/** Of the token at a place. */
const probability = ({ weights, total }, place) => weights[place] / total;

/** Of the likeliest, −ln p; another token's is this and what its logit lacks to the largest. */
const leastSurprise = (race) => -Math.log(probability(race, race.hi - 1));

/** The mean surprise, in nats. */
function entropy(race) {
  if (race.nats !== undefined) return race.nats; // a race never changes
  const { logits, weights, total, lo, hi } = race;
  let sum = 0;
  for (let i = lo; i < hi; i++) sum += weights[i] * (logits[hi - 1] - logits[i]);
  return (race.nats = leastSurprise(race) + sum / total);
}

/** Every logit divided by T: the order stays, but what ties only now comes into the order of its ids. */
function divided(race, T) {
  const { lo, hi } = race, ids = race.ids.slice(), logits = race.logits.map((x) => x / T);
  for (let from = lo, to = lo; from < hi; from = to) {
    while (to < hi && logits[to] === logits[from]) to++;
    if (to - from > 1) ids.subarray(from, to).sort();
  }
  return weighed(ids, logits, lo, hi);
}

/** change(logit, times) of the tokens in the prompt: they are sorted into the others, whose order stays. */
function penalised(race, counts, change) {
  const { lo, hi } = race, ids = race.ids.slice(), logits = race.logits.slice(), moved = [];
  let end = lo, to = hi;
  for (let i = lo; i < hi; i++) {
    const id = ids[i], logit = logits[i];
    if (counts[id]) moved.push({ id, logit: f32(change(logit, counts[id])) });
    else { // the others close up
      ids[end] = id;
      logits[end++] = logit;
    }
  }
  moved.sort((a, b) => b.logit - a.logit || b.id - a.id);
  for (const { id, logit } of moved) { // the likeliest first, below the others that are likelier still
    while (end > lo && (logits[end - 1] - logit || ids[end - 1] - id) > 0) {
      ids[--to] = ids[--end];
      logits[to] = logits[end];
    }
    ids[--to] = id;
    logits[to] = logit;
  }
  return weighed(ids, logits, lo, hi);
}

/** Keep the tokens with a probability of at least `bar`, and always the likeliest. */
function atLeast(race, bar) {
  const { logits, hi } = race;
  let lo = race.lo;
  while (rounded(race, lo) < bar && logits[lo] < logits[hi - 1]) lo++;
  return cut(race, lo, hi);
}

const rounded = (race, place) => f32(probability(race, place)); // as Python has it

/** By name: (race, value, counts) → the race after it; counts: by id, how often it stands in the prompt. */
const SAMPLERS = {
  temperature(race, value) {
    const { logits, lo, hi } = race, T = f32(value);
    // A value so small that the largest logit overflows is 0 for this precision.
    if (value > 0 && Number.isFinite(f32(logits[hi - 1] / T))) return divided(race, T);
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
    const { hi } = race, mayGo = f32(1 - value);
    let lo = race.lo, sum = rounded(race, lo);
    while (lo < hi - 1 && f32(sum) <= mayGo) sum += rounded(race, ++lo);
    return cut(race, lo, hi);
  },

  min_p: (race, value) => atLeast(race, f32(f32(value) * rounded(race, race.hi - 1))),

  typical(race, value) {
    const { logits, lo, hi } = race, least = leastSurprise(race), mean = f32(entropy(race)), mass = f32(value);
    const surprises = logits.map((x) => least + (logits[hi - 1] - x));
    const distances = surprises.map((x) => Math.abs(x - mean));
    let above = lo; // the surprise falls along the race: go outwards from where it passes its mean
    while (above < hi && surprises[above] > mean) above++;
    let below = above - 1, sum = 0, farthest;
    do {
      const down = above === hi || (below >= lo && distances[below] <= distances[above]);
      farthest = distances[down ? below : above];
      sum += rounded(race, down ? below-- : above++);
    } while (f32(sum) < mass && (below >= lo || above < hi));
    while (below >= lo && distances[below] <= farthest) below--;
    while (above < hi && distances[above] <= farthest) above++;
    return cut(race, below + 1, above);
  },

  epsilon: (race, value) => atLeast(race, f32(value)),

  eta: (race, value) =>
    atLeast(race, Math.min(f32(value), f32(f32(Math.sqrt(value)) * f32(Math.exp(-entropy(race)))))),

  repetition_penalty: (race, value, counts) =>
    penalised(race, counts, (x) => (x < 0 ? x * f32(value) : x / f32(value))),

  frequency_penalty: (race, value, counts) =>
    penalised(race, counts, (x, times) => x - f32(f32(value) * times)),
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
  const { weights, total, lo, hi } = race, sums = new Float64Array(hi);
  for (let i = lo, sum = 0; i < hi; i++) sums[i] = sum += weights[i];
  return Array.from({ length: n }, (_, i) => {
    const at = uniform(seed, i) * total;
    let low = lo, high = hi - 1; // the first place at which the sum is above `at`
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] > at) high = middle;
      else low = middle + 1;
    }
    return low;
  });
}
