/* Who ran what when: a bar for each segment in the lane of its slot, with promotions and takeovers. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const { KINDS, COLORS, WORDS, understand, options, heightOf } = AIO.timeline;
  const { PROMOTED, PROMOTED_ELSEWHERE, TAKEN_OVER } = AIO.timeline.kinds;
  const WINDOWS = [
    ["all", "All", Infinity],
    ["3600", "1 h", 3600],
    ["600", "10 min", 600],
    ["60", "1 min", 60],
  ];
  const MOST_MOVES = 30; // lines of the table

  function moves(context, view) {
    const { store } = context,
      { bars } = view;
    const from = new Map(view.links.map(([before, i]) => [i, before]));
    const found = [];
    for (let i = 0; i < view.n; i++)
      if (bars.kind[i] === PROMOTED_ELSEWHERE || bars.kind[i] === TAKEN_OVER) found.push(i);
    if (!found.length)
      return AIO.empty(
        "No trial has changed its worker in this time",
        "A trial moves when a worker dies, leaves, or when another one is free first to promote it.",
      );
    found.sort((a, b) => bars.began[b] - bars.began[a]);
    const name = (i) => (i === undefined ? "–" : h("span", { class: "mono" }, store.names[bars.worker[i]]));
    return AIO.table(
      "Trials that changed their worker",
      ["When", "Trial", "What", "From", "To"],
      found
        .slice(0, MOST_MOVES)
        .map((i) => [
          format.moment(store.base + bars.began[i]),
          h("a", { href: context.link("trial", store.id(bars.row[i])) }, store.title(bars.row[i])),
          KINDS[bars.kind[i]],
          name(from.get(i)),
          name(i),
        ]),
    );
  }

  AIO.views.timeline = {
    title: "Timeline",
    mount(host, context) {
      const { store } = context;
      let view = null,
        chart = null,
        span = Infinity,
        end = null,
        removed = false,
        pending = null;
      const box = h("div", null, h("p", { class: "loading" }, "Reading …")),
        table = h("div"),
        lead = h("p", { class: "muted" });
      const earlier = h("button", { type: "button", onclick: () => move(-0.5) }, "← Earlier");
      const later = h("button", { type: "button", onclick: () => move(0.5) }, "Later →");

      function move(share) {
        const length = Number.isFinite(span) ? span : view.to - view.from;
        if (!Number.isFinite(span)) span = length;
        end = Math.max(view.first + length, (end ?? view.to) + share * length);
        if (end >= view.last) end = null; // at the end it follows the search again
        query.restart();
      }

      function path() {
        const wanted = new URLSearchParams();
        const last = end ?? store.now() - store.base;
        if (Number.isFinite(span) || end !== null) {
          wanted.set("from", String(Math.max(0, last - span)));
          wanted.set("to", String(last));
        }
        const text = wanted.toString();
        return `runs/${encodeURIComponent(context.run)}/timeline${text ? `?${text}` : ""}`;
      }

      async function show(answer) {
        const fresh = understand(answer, store);
        const whole = !view || view.from !== fresh.from || fresh.lanes.length !== view.lanes.length;
        view = fresh;
        if (!view.total) {
          fill(box, AIO.empty("Nothing has run yet", "A bar begins here as soon as a worker takes a trial."));
          fill(table, moves(context, view));
          return;
        }
        if (!chart && !pending) {
          pending = AIO.charts.echart("Timeline", heightOf(view), (instance) => {
            instance.setOption(options(view, store, instance.getWidth()));
            instance.on("click", (event) => {
              if (event.seriesIndex === 0) context.go("trial", store.id(view.bars.row[event.value[3]]));
            });
          });
          try {
            chart = await pending;
          } catch (error) {
            pending = null;
            fill(box, AIO.empty("The timeline cannot be drawn", "", error.message));
            return;
          }
          if (removed) {
            chart.remove();
            return;
          }
          fill(box, chart.node, legend());
        } else if (chart && chart.instance) {
          chart.host.style.height = `${heightOf(view)}px`;
          const fresh_options = options(view, store, chart.instance.getWidth());
          if (!whole) delete fresh_options.dataZoom; // leave the person's zoom as it is
          chart.instance.setOption(fresh_options, { replaceMerge: [] });
        }
        if (!chart) return;
        chart.host.style.height = `${heightOf(view)}px`;
        fill(table, moves(context, view));
        const count = (kind) => view.bars.kind.reduce((sum, each) => sum + (each === kind), 0);
        chart.tell(
          `${format.count(view.n)} of ${format.plural(view.total, "segment")} in ${format.plural(
            view.lanes.reduce((n, each) => n + each.lanes, 0),
            "lane",
          )}: ${format.plural(
            count(PROMOTED) + count(PROMOTED_ELSEWHERE),
            "promotion",
          )}, ${format.count(count(PROMOTED_ELSEWHERE))} of them by another worker; ${format.plural(count(TAKEN_OVER), "takeover")}.`,
        );
        AIO.setText(lead, `${format.moment(store.base + view.from)} to ${format.moment(store.base + view.to)}`);
        later.disabled = end === null;
        earlier.disabled = view.from <= view.first;
      }

      const legend = () =>
        h(
          "div",
          { class: "legend" },
          ["finished", "paused", "stopped", "failed", "released", "open"].map((how) =>
            h("span", { class: "key" }, h("i", { style: { background: `var(--${COLORS[how]})` } }), WORDS[how]),
          ),
          h("span", { class: "key" }, "▸ promoted"),
          h("span", { class: "key" }, "◆ taken over"),
        );

      const query = AIO.refreshed(
        path,
        show,
        (message) => {
          if (!view) fill(box, AIO.empty("The timeline could not be read", "", message));
        },
        1000,
      );
      const tools = h(
        "div",
        { class: "view-tools" },
        AIO.source.embedded
          ? null
          : [
              earlier,
              later,
              AIO.choice(
                "How much",
                WINDOWS.map(([value, text]) => [value, text]),
                "all",
                (value) => {
                  span = WINDOWS.find((each) => each[0] === value)[2];
                  end = null;
                  query.restart();
                },
              ),
            ],
      );
      fill(
        host,
        h("div", { class: "view-head" }, h("h1", null, "Timeline"), lead, tools),
        h(
          "div",
          { class: "stack" },
          h("div", { class: "card" }, box),
          AIO.section("Trials that changed their worker", null, table),
        ),
      );
      return {
        update(changed) {
          if ((changed.trials || changed.summary) && end === null) query.request();
        },
        remove() {
          removed = true;
          query.stop();
          if (chart) chart.remove();
        },
      };
    },
  };
})();
