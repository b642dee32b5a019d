/* Columns of numbers, which is how the page keeps trials: a typed array for each field, no object for a trial.

   The server sends a column as "TYPE:BASE64", little endian. 100,000 trials of ten parameters take about 12 MB so. */
"use strict";
(function () {
  const TYPES = { f64: Float64Array, f32: Float32Array, i32: Int32Array, u16: Uint16Array, u8: Uint8Array };

  /* The numbers of a column as the server sent it. */
  function decode(text) {
    const at = text.indexOf(":");
    const type = TYPES[text.slice(0, at)];
    if (!type) throw new Error(`a column of the unknown type ${text.slice(0, at)}`);
    if (Uint8Array.fromBase64) return new type(Uint8Array.fromBase64(text.slice(at + 1)).buffer);
    const raw = atob(text.slice(at + 1));
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new type(bytes.buffer);
  }

  /* Growing columns. ``fields`` is {name: [array type, value of a row that is not known yet]}. */
  class Columns {
    constructor(fields) {
      this.n = 0;
      this._room = 0;
      this._fields = fields;
      for (const [name, [type]] of Object.entries(fields)) this[name] = new type(0);
    }

    /* Make sure that rows 0 … n - 1 exist. */
    grow(n) {
      if (n <= this.n) return;
      if (n > this._room) {
        this._room = Math.max(n, Math.ceil(this._room * 1.5), 256);
        for (const [name, [type, unknown]] of Object.entries(this._fields)) {
          const larger = new type(this._room);
          larger.set(this[name].subarray(0, this.n));
          if (unknown !== 0) larger.fill(unknown, this.n);
          this[name] = larger;
        }
      }
      this.n = n;
    }

    /* Write ``values`` into a column at ``rows``. */
    put(name, rows, values) {
      const column = this[name],
        n = rows.length;
      if (n && rows[n - 1] - rows[0] === n - 1) {
        // rows are sent in ascending order, so these follow one another
        column.set(values, rows[0]);
        return;
      }
      for (let i = 0; i < rows.length; i++) column[rows[i]] = values[i];
    }
  }

  /* The rows in the order of ``key(row)``, lowest first; rows that have none (NaN) are last. */
  function sorted(rows, key, descending = false) {
    const keys = new Float64Array(rows.length);
    for (let i = 0; i < rows.length; i++) keys[i] = key(rows[i]);
    let ordered = true;
    for (let i = 1; i < keys.length && ordered; i++) ordered = keys[i - 1] <= keys[i];
    if (ordered && !descending) return rows;
    const places = new Uint32Array(rows.length).map((_, i) => i);
    const sign = descending ? -1 : 1;
    places.sort((a, b) => {
      const x = keys[a],
        y = keys[b];
      if (x !== x || y !== y) return x !== x ? (y !== y ? a - b : 1) : -1;
      return x === y ? a - b : x < y ? -sign : sign;
    });
    return places.map((place) => rows[place]);
  }

  /* The value below which a share ``q`` of some numbers lies; NaN of none. Looks at no more than 10,000 of them. */
  function quantile(values, q) {
    const stride = Math.max(1, Math.floor(values.length / 10000));
    const some = [];
    for (let i = 0; i < values.length; i += stride) if (Number.isFinite(values[i])) some.push(values[i]);
    if (!some.length) return NaN;
    some.sort((a, b) => a - b);
    return some[Math.min(some.length - 1, Math.floor(q * some.length))];
  }

  AIO.columns = { decode, Columns, sorted, quantile };
})();
