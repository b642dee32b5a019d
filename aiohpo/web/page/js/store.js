/* What is known of one run: the trials as columns, the summary, the workers' names. Only apply() changes it.

   A change is a *delta*, which has the rows that changed and the summary if that did; one that is complete replaces
   everything (the first one, and after a restart of the server). */
"use strict";
(function () {
  const { Columns, decode } = AIO.columns;
  const F64 = [Float64Array, NaN],
    F32 = [Float32Array, NaN],
    I32 = [Int32Array, 0],
    U16 = [Uint16Array, 0],
    U8 = [Uint8Array, 0],
    NONE = [Int32Array, -1];
  const FIELDS = {
    number: NONE,
    status: U8,
    complete: U8,
    value: F64,
    step: I32,
    to_step: I32,
    worker: U16,
    attempt: U8,
    bracket: I32,
    started: F64,
    ended: F64,
    seconds: F32,
    parent: NONE,
    parent_step: I32,
    retry_of: NONE,
    retried: U8,
    origin: U16,
    seq: I32,
  };

  class Store {
    constructor() {
      this._reset(null, 0);
    }

    _reset(study, base) {
      this.study = study; // its definition; null until something has arrived
      this.base = base; // what times in columns count from, in seconds since the epoch
      this.time = 0; // the server's clock at the latest delta
      this.names = []; // of workers
      this.summary = null;
      this.lastId = null;
      this.revision = 0; // of the trials
      this.trials = new Columns(FIELDS);
      this.params = new Columns({});
      if (!study) return;
      const kinds = {};
      study.parameters.forEach((parameter, i) => {
        kinds[`p${i}`] = parameter.kind === "choice" ? F32 : F64;
      });
      this.params = new Columns(kinds);
      this._place = new Map(study.parameters.map((parameter, i) => [parameter.name, `p${i}`]));
      this.statuses = study.statuses;
      this.code = Object.fromEntries(study.statuses.map((name, i) => [name, i]));
    }

    /* Take a delta; say which parts changed: {complete, trials, summary}. */
    apply(delta) {
      if (delta.complete) this._reset(delta.study, delta.base);
      this.lastId = delta.id;
      this.time = delta.time;
      this._skew = delta.time - Date.now() / 1000;
      if (delta.names) this.names = delta.names;
      if (delta.trials) this._put(delta.trials);
      if (delta.summary) this.summary = delta.summary;
      return { complete: delta.complete, trials: Boolean(delta.trials), summary: Boolean(delta.summary) };
    }

    _put(sent) {
      const rows = decode(sent.rows);
      let top = sent.total || 0;
      for (const row of rows) if (row >= top) top = row + 1;
      this.trials.grow(top);
      this.params.grow(top);
      for (const name of Object.keys(FIELDS))
        if (sent[name] !== undefined) this.trials.put(name, rows, decode(sent[name]));
      for (const [name, column] of Object.entries(sent.params || {})) {
        const place = this._place.get(name);
        if (place) this.params.put(place, rows, decode(column));
      }
      this.revision++;
    }

    get n() {
      return this.trials.n;
    }
    get metric() {
      return this.study ? this.study.metric : "value";
    }
    /* 1 where less is better, −1 where more is: times this, a value is a loss. */
    get sign() {
      return this.study && this.study.mode === "max" ? -1 : 1;
    }
    get parameters() {
      return this.study ? this.study.parameters : [];
    }
    /* The column of a parameter's native values; of a choice, the index of what was chosen. */
    param(name) {
      return this.params[this._place.get(name)];
    }
    /* The server's clock now, as far as this browser's runs alike. */
    now() {
      return AIO.source.embedded ? this.time : Date.now() / 1000 + this._skew;
    }

    id(row) {
      return `${this.names[this.trials.origin[row]]}-${this.trials.seq[row]}`;
    }
    statusName(row) {
      return this.statuses[this.trials.status[row]] || "unknown";
    }
    workerName(row) {
      return this.names[this.trials.worker[row]] || "–";
    }
    /* A trial as the first column of a table shows it. */
    title(row) {
      return `#${this.trials.number[row]}`;
    }

    /* The row of a trial by its id or its number; -1 if there is none. */
    find(text) {
      const at = text.lastIndexOf("-");
      const origin = this.names.indexOf(text.slice(0, at)),
        seq = Number(text.slice(at + 1));
      const t = this.trials;
      if (origin >= 0) {
        for (let row = 0; row < t.n; row++) if (t.seq[row] === seq && t.origin[row] === origin) return row;
      }
      const number = /^#?\d+$/.test(text) ? Number(text.replace("#", "")) : -1;
      return number < 0 ? -1 : t.number.subarray(0, t.n).indexOf(number);
    }

    /* What a parameter is in a trial, as text; "" where it is inactive. */
    paramText(parameter, row, digits = 4) {
      const native = this.param(parameter.name)[row];
      if (Number.isNaN(native)) return "";
      if (parameter.kind === "choice") return String(parameter.choices[native]);
      return parameter.whole ? String(Math.round(native)) : AIO.format.number(native, digits);
    }

    /* The rows that people see: what was withdrawn or only waits in the queue is none of them. */
    visibleRows() {
      const { status, n } = this.trials,
        hidden = new Set([this.code.cancelled, this.code.queued]);
      const rows = new Uint32Array(n);
      let count = 0;
      for (let row = 0; row < n; row++) if (!hidden.has(status[row])) rows[count++] = row;
      return rows.subarray(0, count);
    }

    /* The rows whose values may be compared: they ran to their ends. */
    completeRows() {
      const { complete, value, n } = this.trials;
      const rows = new Uint32Array(n);
      let count = 0;
      for (let row = 0; row < n; row++) if (complete[row] && value[row] === value[row]) rows[count++] = row;
      return rows.subarray(0, count);
    }

    /* Seconds since the first start without the pauses between runs, of a time in seconds since ``base``. */
    elapsed(time) {
      const clock = (this.summary && this.summary.clock) || []; // stretches with workers: [from, to, elapsed at from]
      let at = clock.length - 1;
      while (at > 0 && clock[at][0] > time) at--;
      if (at < 0) return time;
      const [from, to, before] = clock[at];
      return before + Math.max(0, Math.min(time, to) - from);
    }
  }

  AIO.Store = Store;
})();
