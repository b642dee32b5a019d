/* The ensemble beside the best single model. */
"use strict";
(function () {
  const { h, fill, format } = AIO;

  function scores(table) {
    const rows = [];
    for (const [metric, { single, ensemble }] of Object.entries(table)) {
      for (const part of new Set([...Object.keys(single), ...Object.keys(ensemble)])) {
        rows.push([metric, part, format.number(single[part]), format.number(ensemble[part])]);
      }
    }
    return AIO.table(
      "Scores of the best single model and of the ensemble",
      ["Metric", "Rows", "Best single model", "Ensemble"],
      rows,
      [2, 3],
    );
  }

  function trialLink(context, id) {
    const row = context.store.find(id);
    return h(
      "a",
      { class: "name", href: context.link("trial", id) },
      row < 0 ? `trial ${id}` : `trial ${context.store.title(row)}`,
    );
  }

  function members(context, answer) {
    const most = Math.max(...answer.members.map((each) => each.weight), 1e-9);
    return h(
      "div",
      { class: "hbars" },
      answer.members.map((each) => [
        trialLink(context, each.trial),
        h(
          "span",
          { class: "hbar", "aria-hidden": "true" },
          h("span", { style: { width: `${(100 * each.weight) / most}%` } }),
        ),
        h("span", { class: "figure" }, format.number(each.weight, 3)),
      ]),
    );
  }

  function live(state) {
    return h(
      "dl",
      { class: "pairs" },
      h("dt", null, state.metric || "Score"),
      h(
        "dd",
        null,
        format.number(state.score),
        state.single === null || state.single === undefined
          ? null
          : h("span", { class: "muted" }, ` · best single model ${format.number(state.single)}`),
      ),
      h("dt", null, "Members"),
      h("dd", null, `${format.count(state.size)} of ${format.plural(state.models, "model")}`),
    );
  }

  AIO.views.ensemble = {
    title: "Ensemble",
    mount(host, context) {
      const body = h("div", { class: "stack" }, h("p", { class: "loading" }, "Reading …")),
        lead = h("p", { class: "muted" });
      fill(host, h("div", { class: "view-head" }, h("h1", null, "Ensemble"), lead), body);
      const query = AIO.refreshed(
        () => `runs/${encodeURIComponent(context.run)}/ensemble`,
        (answer) => {
          AIO.setText(
            lead,
            answer.members && answer.members.length
              ? `${format.plural(answer.members.length, "member")} chosen for ${answer.metric}`
              : "",
          );
          fill(
            body,
            answer.live ? AIO.section("Kept while the search runs", null, live(answer.live)) : null,
            (answer.problems || []).map((problem) => h("p", { class: "notice" }, problem)),
            h(
              "div",
              { class: "grid" },
              h(
                "div",
                { class: "span-8" },
                AIO.section(
                  "Scores",
                  null,
                  answer.table
                    ? scores(answer.table)
                    : AIO.empty(
                        "There are no scores yet",
                        "They need predictions and targets: `trial.predictions(valid=…)` in the objective.",
                      ),
                ),
              ),
              h(
                "div",
                { class: "span-4" },
                AIO.section(
                  "Members and their weights",
                  null,
                  answer.members && answer.members.length
                    ? members(context, answer)
                    : AIO.empty("It has no members yet", ""),
                ),
              ),
              answer.single
                ? h(
                    "p",
                    { class: "muted" },
                    "The best single model is ",
                    trialLink(context, answer.single.trial),
                    `. Both were chosen by ${answer.metric} on the rows “${answer.valid}”, which flatters them there; other rows are an honest test.`,
                  )
                : null,
            ),
          );
        },
        (message) => fill(body, h("div", { class: "card" }, AIO.empty("There is no ensemble", "", message))),
        10000,
      );
      return {
        update(changed) {
          if (changed.trials) query.request();
        },
        remove: query.stop,
      };
    },
  };
})();
