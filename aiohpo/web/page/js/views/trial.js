/* One trial: its configuration, the curves of all its metrics, notes, files, where it ran, whose heir it is, its output. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const MOST_CHARTS = 12;

  function pairs(entries, figures) {
    return h(
      "dl",
      { class: figures ? "pairs figures" : "pairs" },
      entries.map(([term, value]) => [h("dt", null, term), h("dd", null, value)]),
    );
  }

  function facts(context, trial) {
    const link = (id, text) => h("a", { href: context.link("trial", id) }, text || id);
    const rows = [
      ["Status", h("span", { class: "status", "data-status": trial.status }, trial.status)],
      [context.store.metric, trial.value === null ? "–" : format.number(trial.value, 8)],
      [
        "Step",
        `${format.count(trial.step)}${context.store.study.max_steps ? ` of ${format.count(context.store.study.max_steps)}` : ""}`,
      ],
      ["Started", format.moment(trial.started)],
      ["Time", format.duration(trial.seconds)],
      ["Worker", h("span", { class: "mono" }, trial.worker)],
      ["Identifier", h("span", { class: "mono" }, trial.id)],
    ];
    if (trial.attempt) rows.push(["Attempts", format.count(trial.attempt + 1)]);
    if (trial.bracket) rows.push(["Bracket", format.count(trial.bracket)]);
    if (trial.status === "surplus" && trial.ended_as) rows.push(["Ended as", trial.ended_as]);
    if (trial.retry_of) rows.push(["Tries again", link(trial.retry_of)]);
    for (const id of trial.retries || []) rows.push(["Tried again as", link(id)]);
    return pairs(rows);
  }

  function curveCharts(trial, charts) {
    const names = Object.keys(trial.curves || {}).filter((name) => trial.curves[name].length);
    if (!names.length)
      return AIO.empty(
        "Nothing was reported on the way",
        "Call `trial.report(…)` in the objective after each step of `trial.steps()` to see learning curves here.",
      );
    return h(
      "div",
      { class: "slices" },
      names.slice(0, MOST_CHARTS).map((name) => {
        const points = trial.curves[name];
        const chart = AIO.charts.chart({
          label: `${name} by step`,
          height: 170,
          x: { label: "step", whole: true },
          y: { label: "" },
          series: [
            points.length > 1
              ? { label: name, color: "accent" }
              : { label: name, type: "points", size: 7, color: "accent" },
          ],
        });
        charts.push(chart);
        chart.set([points.map((point) => point[0]), points.map((point) => point[1])]);
        const last = points[points.length - 1];
        chart.tell(
          `${format.plural(points.length, "report")}; ${format.number(last[1])} at step ${format.count(last[0])}.`,
        );
        return h("div", null, h("h3", null, name), chart.node);
      }),
      names.length > MOST_CHARTS
        ? h("p", { class: "muted" }, `and ${format.plural(names.length - MOST_CHARTS, "metric")} more, in the export`)
        : null,
    );
  }

  function lineage(context, trial) {
    const known = (trial.ancestors || []).length || (trial.children || []).length;
    if (!known) return null;
    const item = (each) =>
      h(
        "li",
        null,
        h("a", { href: context.link("trial", each.id) }, `Trial #${each.number}`),
        each.step === undefined || each.step === null
          ? null
          : h("span", { class: "muted" }, ` from step ${format.count(each.step)}`),
      );
    return AIO.section(
      "Lineage",
      null,
      h(
        "div",
        { class: "lineage stack" },
        trial.ancestors && trial.ancestors.length
          ? h("div", null, h("h3", null, "Inherited from"), h("ol", null, trial.ancestors.map(item)))
          : null,
        trial.children && trial.children.length
          ? h("div", null, h("h3", null, "Inherited by"), h("ol", null, trial.children.map(item)))
          : null,
      ),
    );
  }

  function fileLink(context, trial, name) {
    const href = AIO.source.address(
      `runs/${encodeURIComponent(context.run)}/trials/${encodeURIComponent(trial.id)}/files/${encodeURIComponent(name)}`,
    );
    return href === null ? name : h("a", { href, download: name }, name);
  }

  function page(context, trial, charts) {
    const metrics = Object.entries(trial.metrics || {});
    const notes = Object.entries(trial.notes || {});
    const files = [
      ...(trial.files || []).map((file) => [fileLink(context, trial, file.name), format.bytes(file.size), file.digest]),
      ...Object.entries(trial.predictions || {}).map(([name, digest]) => [`predictions: ${name}`, "–", digest]),
      ...(trial.checkpoint ? [["checkpoint", "–", trial.checkpoint]] : []),
    ];
    return h(
      "div",
      { class: "grid" },
      h(
        "div",
        { class: "span-8 stack" },
        trial.error
          ? AIO.section(
              "Why it failed",
              null,
              h("p", { class: "notice bad mono" }, trial.error),
              trial.detail
                ? h(
                    "pre",
                    { class: "output", tabindex: "0", "aria-label": "Traceback", style: { "margin-top": "0.6rem" } },
                    trial.detail,
                  )
                : null,
            )
          : null,
        AIO.section("Curves", null, curveCharts(trial, charts)),
        AIO.section(
          "Segments",
          null,
          (trial.segments || []).length
            ? AIO.table(
                "Where it ran",
                ["Attempt", "Worker", "Began", "Took", "Ended", "To step"],
                trial.segments.map((each) => [
                  each.attempt,
                  h("span", { class: "mono" }, each.worker),
                  format.moment(each.began),
                  format.duration(each.seconds),
                  each.how === "open" ? "–" : each.how,
                  each.to_step ? format.count(each.to_step) : "its end",
                ]),
                [3],
              )
            : AIO.empty("It has not run yet", ""),
        ),
        AIO.section(
          "Output",
          null,
          trial.output
            ? h("pre", { class: "output", tabindex: "0", "aria-label": "Output" }, trial.output)
            : h("p", { class: "muted" }, "It printed nothing, or what it printed is on another machine."),
        ),
      ),
      h(
        "div",
        { class: "span-4 stack" },
        AIO.section("Trial", null, facts(context, trial)),
        AIO.section(
          "Configuration",
          null,
          pairs(
            Object.entries(trial.config).map(([name, value]) => [name, format.value(value, 8)]),
            true,
          ),
        ),
        metrics.length
          ? AIO.section(
              "Metrics",
              null,
              pairs(
                metrics.map(([name, value]) => [name, format.number(value, 8)]),
                true,
              ),
            )
          : null,
        notes.length
          ? AIO.section("Notes", null, pairs(notes.map(([name, value]) => [name, format.value(value, 8)])))
          : null,
        files.length
          ? AIO.section(
              "Files",
              null,
              AIO.table(
                "Files of the trial",
                ["Name", "Size", "Digest"],
                files.map(([name, size, digest]) => [
                  name,
                  size,
                  h("span", { class: "mono", title: digest }, String(digest).slice(0, 10)),
                ]),
                [1],
              ),
            )
          : null,
        lineage(context, trial),
      ),
    );
  }

  AIO.views.trial = {
    title: "Trial",
    parent: "trials",
    mount(host, context) {
      const { store } = context;
      const body = h("div", null, h("p", { class: "loading" }, "Reading …"));
      const heading = h("h1", null, `Trial ${context.arg}`),
        status = h("span");
      fill(
        host,
        h(
          "div",
          { class: "view-head" },
          heading,
          status,
          h("div", { class: "view-tools" }, h("a", { href: context.link("trials") }, "All trials")),
        ),
        body,
      );
      let charts = [],
        last = null,
        revision = -1;

      const address = () => {
        const row = store.find(context.arg);
        const named = AIO.source.embedded && row >= 0 ? store.trials.number[row] : context.arg;
        return `runs/${encodeURIComponent(context.run)}/trials/${encodeURIComponent(named)}`;
      };

      const query = AIO.refreshed(
        address,
        (trial) => {
          const text = JSON.stringify(trial);
          if (text === last) return;
          last = text;
          charts.forEach((chart) => chart.remove());
          charts = [];
          AIO.setText(heading, `Trial #${trial.number}`);
          fill(status, h("span", { class: "status", "data-status": trial.status }, trial.status));
          fill(body, page(context, trial, charts));
        },
        (message) => {
          if (last !== null) return; // what is shown stays; the connection's state is told elsewhere
          fill(
            body,
            h(
              "div",
              { class: "card" },
              AIO.source.embedded
                ? AIO.empty(
                    "This report does not have the page of this trial",
                    "A report contains the pages of the best, the latest and the failed trials. `aiohpo dashboard` shows all of them.",
                  )
                : AIO.empty("This trial cannot be shown", "", message),
            ),
          );
        },
        1000,
      );

      return {
        update(changed) {
          if (!changed.trials) return;
          const row = store.find(context.arg);
          const t = store.trials;
          const now =
            row < 0
              ? store.revision
              : `${t.status[row]} ${t.step[row]} ${t.attempt[row]} ${t.value[row]} ${t.retried[row]}`;
          if (now !== revision) query.request();
          revision = now;
        },
        remove() {
          query.stop();
          charts.forEach((chart) => chart.remove());
        },
      };
    },
  };
})();
