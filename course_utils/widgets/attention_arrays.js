// The arithmetic of attention_arrays.py for the browser; a test compares the two. Masked keys are NaN here.

const FULL = 254, MASKED = 255; // a byte is 254 times the root of a weight
const WEIGHTS = Float32Array.from({ length: 256 }, (_, byte) => (byte === MASKED ? NaN : (byte / FULL) ** 2));
const decoded = (bytes) => Float32Array.from(bytes, (byte) => WEIGHTS[byte]);
const encoded = (weights) => Uint8Array.from(weights, (w) =>
  (Number.isNaN(w) ? MASKED : Math.round(Math.sqrt(Math.min(w, 1)) * FULL)));

/** The place of the largest weight. */
const strongest = (row) => row.reduce((best, w, i) => (w > (row[best] || 0) ? i : best), 0);

/** The entropy in bits of a row of weights, divided by its sum first; 0 for a row of zeros. */
function rowEntropy(row) {
  let sum = 0, bits = 0;
  for (const w of row) if (w > 0) sum += w;
  for (const w of row) if (w > 0) bits -= (w / sum) * Math.log2(w / sum);
  return bits;
}

/** Weights of several heads as one: their mean, or the largest of each. Masked is what is masked in all. */
function combined(heads, how) {
  if (heads.length === 1) return heads[0];
  return heads[0].map((_, i) => {
    let sum = 0, largest = NaN;
    for (const head of heads) {
      if (Number.isNaN(head[i])) continue;
      sum += head[i];
      if (!(largest > head[i])) largest = head[i];
    }
    return how === "max" || Number.isNaN(largest) ? largest : sum / heads.length;
  });
}

/** Rows of nKeys each, with some keys at 0, and on request the others divided by what is left. */
function without(rows, nKeys, hidden, renormalise) {
  if (!hidden.length) return rows;
  const result = rows.slice();
  for (let start = 0; start < result.length; start += nKeys) {
    for (const key of hidden) if (result[start + key] > 0) result[start + key] = 0;
    if (!renormalise) continue;
    let left = 0;
    for (let i = start; i < start + nKeys; i++) if (result[i] > 0) left += result[i];
    if (left > 0) for (let i = start; i < start + nKeys; i++) result[i] /= left;
  }
  return result;
}

/**
 * n maps of bytes, nQueries high and nKeys wide, made at most `side` high and wide: a cell is the largest of
 * its block, masked where all of it is.
 */
function pooled(bytes, n, nQueries, nKeys, side) {
  const high = Math.ceil(nQueries / side), wide = Math.ceil(nKeys / side);
  const rows = Math.ceil(nQueries / high), columns = Math.ceil(nKeys / wide);
  const result = new Uint8Array(n * rows * columns).fill(MASKED);
  let at = 0;
  for (let map = 0; map < n; map++) {
    for (let query = 0; query < nQueries; query++) {
      const row = (map * rows + Math.floor(query / high)) * columns;
      for (let column = 0; column < columns; column++) {
        const end = at + Math.min(wide, nKeys - column * wide);
        let largest = result[row + column] === MASKED ? -1 : result[row + column];
        for (; at < end; at++) if (bytes[at] !== MASKED && bytes[at] > largest) largest = bytes[at];
        if (largest >= 0) result[row + column] = largest;
      }
    }
  }
  return { bytes: result, rows, columns };
}
