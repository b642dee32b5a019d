/* Fewer points where more could not be told apart: what is drawn depends on the pixels, not on the number of trials. */
"use strict";
(function () {
  /* Keep one point for each cell of a grid of ``columns`` by ``lines``, and those of which ``keep(i)`` is true. Points
     come in the order of ``xs``; returns the places that are kept, in that order. */
  function thin(xs, ys, columns, lines, range, keep) {
    const n = xs.length;
    if (n <= 2000) return Uint32Array.from({ length: n }, (_, i) => i);
    const [low, high] = range,
      first = xs[0],
      width = xs[n - 1] - first || 1,
      height = high - low || 1;
    const taken = new Uint8Array((columns + 1) * (lines + 1));
    const kept = new Uint32Array(n);
    let count = 0;
    for (let i = 0; i < n; i++) {
      let y = (ys[i] - low) / height;
      if (!(y >= 0)) y = 0;
      else if (y > 1) y = 1;
      const cell = Math.floor(y * lines) * (columns + 1) + Math.floor(((xs[i] - first) / width) * columns);
      if (!taken[cell] || keep(i)) {
        taken[cell] = 1;
        kept[count++] = i;
      }
    }
    return kept.subarray(0, count);
  }

  /* The best of the values so far, at each of them. ``sign``: 1 where less is better. */
  function running(values, sign) {
    const best = new Float64Array(values.length);
    let so_far = NaN;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === value && !(sign * so_far <= sign * value)) so_far = value;
      best[i] = so_far;
    }
    return best;
  }

  /* Which part of the values an axis should show: all from the best one to where the bulk ends, as one diverged trial
     would press all others into a line. Returns [low, high, how many lie outside]. */
  function usefulRange(values, sign) {
    let low = Infinity,
      high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return [0, 1, 0];
    const q = (share) => AIO.columns.quantile(values, share);
    if (values.length >= 10) {
      const middle = q(0.5),
        bulk = q(sign > 0 ? 0.9 : 0.1);
      const reach = 1.5 * Math.abs(bulk - (sign > 0 ? low : high)) || Math.abs(middle) || 1;
      if (sign > 0) high = Math.min(high, low + reach);
      else low = Math.max(low, high - reach);
    }
    let outside = 0;
    for (const value of values) if (value < low || value > high) outside++;
    if (low === high) {
      low -= Math.abs(low) * 0.05 || 0.5;
      high += Math.abs(high) * 0.05 || 0.5;
    }
    const margin = 0.04 * (high - low);
    return [low - margin, high + margin, outside];
  }

  AIO.decimate = { thin, running, usefulRange };
})();
