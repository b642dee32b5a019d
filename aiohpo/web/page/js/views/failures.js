/* What failed, grouped by message, with the end of the output, and the way to try it again. */
"use strict";
(function () {
  const { h, fill, format } = AIO;

  const text = (title, id, content) => [
    h("h3", { id }, title),
    h("pre", { class: "output", tabindex: "0", "aria-labelledby": id }, content),
  ];

  function group(context, each, i, open, toggled) {
    const waiting = each.count - each.retried;
    const can = context.store.summary.can || { retry: false, why: "" };
    const ids = each.trials.filter((trial) => !trial.retried).map((trial) => trial.id);
    const whole = each.trials.length === each.count; // only the latest are listed, so only a small group is retried alone
    return h(
      "details",
      { class: "group", open, ontoggle: (event) => toggled(each.error, event.currentTarget.open) },
      h(
        "summary",
        null,
        h("span", { class: "message" }, each.error),
        h(
          "span",
          { class: "nowrap" },
          format.plural(each.count, "trial"),
          each.retried ? h("span", { class: "muted" }, ` · ${format.count(each.retried)} retried`) : null,
        ),
      ),
      h(
        "div",
        { class: "group-body" },
        each.detail ? text("Traceback of the latest", `detail-${i}`, each.detail) : null,
        each.output ? text("What the latest printed last", `output-${i}`, each.output) : null,
        each.detail || each.output
          ? null
          : h("p", { class: "muted" }, "Nothing was printed, or it is on another machine."),
        h(
          "div",
          { class: "trial-links" },
          each.trials.map((trial) =>
            h("a", { href: context.link("trial", trial.id) }, `#${trial.number} (step ${format.count(trial.step)})`),
          ),
          each.count > each.trials.length
            ? h("span", { class: "muted" }, `and ${format.count(each.count - each.trials.length)} earlier`)
            : null,
        ),
        AIO.source.embedded || !waiting || !whole
          ? null
          : h(
              "div",
              null,
              h(
                "button",
                {
                  type: "button",
                  disabled: !can.retry,
                  title: can.retry ? null : can.why,
                  onclick: () => AIO.actions.retryFailed(context.run, ids, ids.length, context.say),
                },
                `Retry ${waiting === 1 ? "it" : `these ${format.count(waiting)}`} …`,
              ),
            ),
      ),
    );
  }

  AIO.views.failures = {
    title: "Failures",
    badge(store) {
      const failed = store.summary ? store.summary.study.counts.failed || 0 : 0;
      return failed ? { text: format.count(failed), bad: true } : "";
    },
    mount(host, context) {
      const { store } = context;
      const lead = h("p", { class: "muted" }),
        body = h("div", null, h("p", { class: "loading" }, "Reading …"));
      const all = h(
        "button",
        { type: "button", onclick: () => AIO.actions.retryFailed(context.run, [], all.count, context.say) },
        "Retry all failed …",
      );
      all.hidden = true;
      fill(
        host,
        h("div", { class: "view-head" }, h("h1", null, "Failures"), lead, h("div", { class: "view-tools" }, all)),
        h("div", { class: "card" }, body),
      );
      const closed = new Map();
      let last = null;
      const query = AIO.refreshed(
        () => `runs/${encodeURIComponent(context.run)}/failures`,
        (answer) => {
          const text = JSON.stringify(answer) + JSON.stringify(store.summary.can);
          if (text === last) return; // what somebody reads or has selected stays where it is
          last = text;
          const open = answer.groups.reduce((sum, each) => sum + each.count - each.retried, 0);
          const can = store.summary.can || { retry: false, why: "" };
          all.hidden = AIO.source.embedded || !open;
          all.count = open;
          all.disabled = !can.retry;
          all.title = can.retry ? "" : can.why;
          AIO.setText(
            lead,
            answer.total
              ? `${format.plural(answer.total, "trial")} failed for ${format.plural(answer.groups_total, "reason")}${
                  answer.groups_total > answer.groups.length
                    ? `, of which the ${format.count(answer.groups.length)} most frequent are listed`
                    : ""
                }.`
              : "",
          );
          fill(
            body,
            answer.groups.length
              ? answer.groups.map((each, i) =>
                  group(context, each, i, closed.get(each.error) ?? i < 3, (error, isOpen) =>
                    closed.set(error, isOpen),
                  ),
                )
              : AIO.empty(
                  "No trial has failed",
                  "A trial whose objective raises an error, crashes or runs out of memory is listed here with the end of its output.",
                ),
          );
        },
        (message) => {
          last = null;
          fill(body, AIO.empty("The failures could not be read", "", message));
        },
        1500,
      );
      return {
        update(changed) {
          if (changed.trials || changed.summary) query.request();
        },
        remove: query.stop,
      };
    },
  };
})();
