/* What stands above every view: which search this is, how far it is, and the actions. */
"use strict";
(function () {
  const { h, fill, format } = AIO;

  /* How the search is, in a word, and the tone of it. */
  function standing(summary) {
    const { study, workers, states } = summary;
    const met = study.trials !== null && study.done >= study.trials;
    const here = (states.alive || 0) + (states.suspect || 0) > 0; // "unknown" may be long gone
    if (met && !study.running && !here) return ["complete", "good"];
    if (summary.deserted) return ["no worker left", "warn"];
    if (here && study.running) return ["running", "live"];
    if (here) return ["waiting", "live"];
    return workers.length ? ["running?", ""] : ["not started", ""];
  }

  function progress(summary) {
    const { study } = summary;
    const share = study.trials ? Math.min(1, study.done / study.trials) : null;
    const words =
      study.trials === null
        ? `${format.plural(study.done, "trial")} done, no limit`
        : `${format.count(study.done)} of ${format.plural(study.trials, "trial")}`;
    return h(
      "div",
      { class: "head-progress" },
      share === null
        ? null
        : h(
            "div",
            {
              class: "bar",
              role: "progressbar",
              "aria-label": "Trials of the budget that are done",
              "aria-valuemin": "0",
              "aria-valuemax": "100",
              "aria-valuenow": String(Math.round(100 * share)),
            },
            h("span", { style: { width: `${100 * share}%`, background: "var(--accent)" } }),
          ),
      h("p", null, words, study.counts.failed ? ` · ${format.count(study.counts.failed)} failed` : ""),
    );
  }

  AIO.head = function (context) {
    const host = document.getElementById("head");
    const title = h("div", { class: "head-title" }),
      bar = h("div", { class: "head-progress" }),
      chip = h("span", { class: "chip" });
    const end = h(
      "button",
      {
        type: "button",
        class: "danger",
        onclick: () => AIO.actions.endSearch(context.run, context.store, context.say),
      },
      "End search …",
    );
    fill(host, title, chip, bar, h("div", { class: "head-actions" }, AIO.source.embedded ? null : end));
    end.hidden = true;
    let before = null;

    return function draw() {
      const { store } = context;
      if (!store.summary) return;
      const { study } = store;
      fill(
        title,
        h("h1", { title: context.name }, context.name),
        h(
          "p",
          null,
          [`${study.mode === "max" ? "maximises" : "minimises"} ${study.metric}`, study.searcher, study.scheduler]
            .filter(Boolean)
            .join(" · "),
        ),
      );
      const [word, tone] = standing(store.summary);
      AIO.setText(chip, word);
      chip.dataset.tone = tone;
      fill(bar, ...progress(store.summary).childNodes);
      const can = store.summary.can || { stop: false, why: "" };
      end.hidden = word === "complete";
      end.disabled = !can.stop;
      end.title = can.stop ? "" : can.why;
      if (before !== null && before !== word) context.say(`The search is now: ${word}.`, true);
      before = word;
      document.title = `${context.name} · aiohpo`;
    };
  };
})();
