/* The filter of trials: conditions that all have to hold, such as  status=finished lr<0.01 optimizer=adam "batch size">=64.

   A name is a parameter, the metric, or one of number, status, worker, value, step, seconds, attempt, bracket. A word
   without an operator has to occur in the trial's id, its status or its worker. */
"use strict";
(function () {
  const TOKEN = /\s*(?:"([^"]+)"|([^\s"<>=!~]+))(?:\s*(<=|>=|!=|=|<|>)\s*(?:"([^"]*)"|([^\s"]+)))?/y;
  const COLUMNS = ["number", "value", "step", "seconds", "attempt", "bracket"];

  const compare = {
    "<": (a, b) => a < b,
    "<=": (a, b) => a <= b,
    ">": (a, b) => a > b,
    ">=": (a, b) => a >= b,
    "=": (a, b) => a === b || Math.abs(a - b) <= 1e-9 * Math.abs(b),
    "!=": (a, b) => a === a && Math.abs(a - b) > 1e-9 * Math.abs(b),
  };

  /* What a name gets of a row: {number(row)} or {text(row)}. */
  function field(store, name) {
    const parameter = store.parameters.find((each) => each.name === name);
    if (parameter && parameter.kind !== "choice") return { number: (row) => store.param(name)[row] };
    if (parameter) return { text: (row) => store.paramText(parameter, row) };
    if (name === "status") return { text: (row) => store.statusName(row) };
    if (name === "worker") return { text: (row) => store.workerName(row) };
    const column = name === store.metric ? "value" : name;
    if (!COLUMNS.includes(column)) return null;
    return { number: (row) => store.trials[column][row] };
  }

  function condition(store, name, operator, wanted) {
    const found = field(store, name);
    if (!found) return { error: `There is no parameter or column ${name}.` };
    if (found.number) {
      const number = Number(wanted.replace("−", "-"));
      if (wanted === "" || Number.isNaN(number))
        return { error: `${name} is compared with a number, which ${wanted} is not.` };
      return { test: (row) => compare[operator](found.number(row), number) };
    }
    if (operator !== "=" && operator !== "!=") return { error: `${name} is a text, which can only be = or !=.` };
    return { test: (row) => (found.text(row) === wanted) === (operator === "=") };
  }

  /* Understand a filter: {test(row)} or {error}. An empty one lets everything through. */
  function parse(store, text) {
    const tests = [];
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length && text.slice(TOKEN.lastIndex).trim()) {
      const begin = TOKEN.lastIndex;
      const match = TOKEN.exec(text);
      if (!match) return { error: `This is not understood: ${text.slice(begin).trim()}` };
      const name = match[1] ?? match[2];
      if (match[3]) {
        const found = condition(store, name, match[3], match[4] ?? match[5]);
        if (found.error) return found;
        tests.push(found.test);
      } else {
        const word = name.toLowerCase();
        tests.push(
          (row) =>
            store.id(row).toLowerCase().includes(word) ||
            store.statusName(row) === word ||
            store.title(row) === word ||
            store.workerName(row).toLowerCase().includes(word),
        );
      }
    }
    return { test: (row) => tests.every((each) => each(row)) };
  }

  AIO.query = { parse };
})();
