/* Parallel coordinates: a line for each trial through its parameters to its value; axes can be brushed. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const MOST = 2000; // lines: the best 500 and an even choice of the others
  const BEST = 500;
  const AXES = 10; // shown at first

  function chosenRows(store, test, sort) {
    const rows = AIO.columns.sorted(store.completeRows().filter(test), (row) => store.sign * store.trials.value[row]);
    if (rows.length <= MOST) return { rows, of: rows.length };
    const kept = new Uint32Array(MOST);
    kept.set(rows.subarray(0, BEST));
    const rest = rows.length - BEST,
      wanted = MOST - BEST;
    for (let i = 0; i < wanted; i++) kept[BEST + i] = rows[BEST + Math.floor((i * rest) / wanted)];
    return { rows: kept, of: rows.length };
  }

  function axisOf(store, parameter, i, rows) {
    const color = AIO.theme.color;
    const base = {
      dim: i,
      name: parameter.name.length > 16 ? `${parameter.name.slice(0, 15)}…` : parameter.name,
      nameGap: 14,
      nameTextStyle: { color: color("text"), fontSize: 12 },
      axisLine: { lineStyle: { color: color("line-strong") } },
      axisTick: { lineStyle: { color: color("line-strong") } },
      axisLabel: {
        color: color("chart-axis"),
        fontSize: 11,
        hideOverlap: true,
        textBorderColor: color("surface"),
        textBorderWidth: 3,
        formatter: (value) =>
          typeof value === "number"
            ? format.number(value, 3)
            : String(value).length > 12
              ? `${String(value).slice(0, 11)}…`
              : String(value),
      },
    };
    if (parameter.kind === "choice") return { ...base, type: "category", data: parameter.choices.map(String) };
    const column = parameter.column || store.param(parameter.name);
    let low = parameter.low ?? Infinity,
      high = parameter.high ?? -Infinity;
    if (parameter.low === undefined)
      for (const row of rows) {
        low = Math.min(low, column[row]);
        high = Math.max(high, column[row]);
      }
    if (low === high) {
      low -= 0.5;
      high += 0.5;
    }
    return {
      ...base,
      type: parameter.log ? "log" : "value",
      min: low,
      max: high,
      splitNumber: 5,
      scale: true,
      minInterval: parameter.whole ? 1 : undefined,
    };
  }

  AIO.views.parallel = {
    title: "Parallel coordinates",
    mount(host, context) {
      const { store } = context;
      let filter = "",
        test = () => true,
        shown = null,
        chart = null,
        removed = false,
        selected = null,
        started = false;
      const usable = store.parameters.filter(
        (parameter) => parameter.kind === "choice" || parameter.low !== parameter.high,
      );
      let axes = usable.slice(0, AXES).map((parameter) => parameter.name);
      const box = h("div", null, h("p", { class: "loading" }, "Loading the chart library …")),
        table = h("div"),
        lead = h("p", { class: "muted" });
      const error = h("p", { class: "field-error", role: "alert", id: "parallel-error" });
      const search = h("input", {
        type: "search",
        id: "parallel-filter",
        placeholder: "e.g.  lr<0.01",
        autocomplete: "off",
        spellcheck: "false",
        "aria-describedby": "parallel-error",
        oninput: () => {
          filter = search.value;
          const parsed = AIO.query.parse(store, filter);
          AIO.setText(error, parsed.error || "");
          search.classList.toggle("invalid", Boolean(parsed.error));
          if (!parsed.error) {
            test = parsed.test;
            selected = null;
            draw();
          }
        },
      });

      function options() {
        const value = { name: store.metric, kind: "number", column: store.trials.value };
        const parameters = [...axes.map((name) => store.parameters.find((each) => each.name === name)), value];
        const { rows } = shown;
        const values = Array.from(rows, (row) => store.trials.value[row]);
        const [low, high] = AIO.decimate.usefulRange(values, store.sign);
        const scale = AIO.theme.color("scale").split(/\s+/);
        const at = (parameter, row) => {
          if (parameter.column) return Math.min(Math.max(parameter.column[row], low), high);
          const native = store.param(parameter.name)[row];
          return Number.isNaN(native) ? "-" : native;
        };
        return {
          animation: false,
          textStyle: { fontFamily: "inherit" },
          parallel: {
            left: 50,
            right: 60,
            top: 40,
            bottom: 22,
            axisExpandable: false,
            parallelAxisDefault: {
              areaSelectStyle: {
                width: 16,
                borderWidth: 1,
                borderColor: AIO.theme.color("accent"),
                color: AIO.theme.color("accent"),
                opacity: 0.25,
              },
            },
          },
          parallelAxis: parameters.map((parameter, i) => ({
            ...axisOf(store, parameter, i, rows),
            ...(parameter.column ? { min: low, max: high } : {}),
          })),
          visualMap: {
            show: false,
            min: low,
            max: high,
            dimension: parameters.length - 1,
            inRange: { color: store.sign > 0 ? [...scale].reverse() : scale },
          },
          series: [
            {
              type: "parallel",
              smooth: false,
              progressive: 500,
              inactiveOpacity: 0.03,
              activeOpacity: 0.9,
              lineStyle: { width: 1.1, opacity: rows.length > 300 ? 0.35 : 0.6 },
              data: Array.from(rows, (row) => parameters.map((parameter) => at(parameter, row))),
            },
          ],
        };
      }

      function listed() {
        const places = selected || Array.from(shown.rows.keys());
        const rows = places
          .map((place) => shown.rows[place])
          .sort((a, b) => store.sign * (store.trials.value[a] - store.trials.value[b]))
          .slice(0, 10);
        AIO.setText(
          lead,
          `${selected ? `${format.plural(places.length, "trial")} in the brushed ranges, of ` : ""}${format.plural(shown.rows.length, "trial")}${
            shown.of > shown.rows.length
              ? ` shown of ${format.count(shown.of)}: the best ${BEST} and an even choice of the others`
              : ""
          }`,
        );
        if (!rows.length) {
          fill(
            table,
            AIO.empty("No trial lies within all brushed ranges", "Click an axis beside its brush to remove it."),
          );
          return;
        }
        const parameters = axes.map((name) => store.parameters.find((each) => each.name === name));
        fill(
          table,
          AIO.table(
            "The best of the selection",
            ["Trial", store.metric, ...axes],
            rows.map((row) => [
              h("a", { href: context.link("trial", store.id(row)) }, store.title(row)),
              format.number(store.trials.value[row]),
              ...parameters.map((parameter) => store.paramText(parameter, row) || "–"),
            ]),
            [1, ...parameters.flatMap((parameter, i) => (parameter.kind === "choice" ? [] : [i + 2]))],
          ),
        );
      }

      async function draw() {
        shown = chosenRows(store, test);
        if (!shown.rows.length || !axes.length) {
          if (chart) {
            chart.remove();
            chart = null;
            started = false;
          }
          fill(
            box,
            filter
              ? AIO.empty("No complete trial matches this filter", "Empty the field to see all of them.")
              : axes.length
                ? AIO.empty("No trial is complete yet", "Each trial that runs to its end becomes a line.")
                : AIO.empty("No axis is chosen", "Choose at least one parameter under **Axes**."),
          );
          fill(table);
          return;
        }
        listed();
        if (!started) {
          started = true;
          try {
            const made = await AIO.charts.echart("Parallel coordinates", 380, (instance) => {
              instance.setOption(options());
              instance.on("axisareaselected", () => {
                const series = instance.getModel().getSeriesByIndex(0);
                const active = series.getRawIndicesByActiveState("active");
                const idle = series.getRawIndicesByActiveState("inactive");
                selected = active.length || idle.length ? active : null;
                listed();
              });
            });
            if (removed || !started) {
              made.remove();
              return;
            }
            chart = made;
          } catch (problem) {
            started = false;
            fill(box, AIO.empty("The chart cannot be drawn", "", problem.message));
            return;
          }
          fill(box, chart.node);
        } else if (chart && chart.instance) {
          chart.instance.setOption(options(), { replaceMerge: ["parallelAxis", "series"] });
        }
        if (chart)
          chart.tell(
            `${format.plural(shown.rows.length, "trial")} over ${format.plural(axes.length, "parameter")}; from poor to good by their shade. Drag along an axis to keep only the trials within that range, or type conditions into the filter.`,
          );
      }

      const picker = h(
        "details",
        null,
        h("summary", null, "Axes"),
        h(
          "div",
          { class: "trial-links" },
          usable.map((parameter) =>
            h(
              "label",
              { class: "field" },
              h("input", {
                type: "checkbox",
                checked: axes.includes(parameter.name),
                onchange: (event) => {
                  const chosen = new Set(axes);
                  if (event.target.checked) chosen.add(parameter.name);
                  else chosen.delete(parameter.name);
                  axes = usable.map((each) => each.name).filter((name) => chosen.has(name));
                  selected = null;
                  draw();
                },
              }),
              parameter.name,
            ),
          ),
        ),
      );
      fill(
        host,
        h(
          "div",
          { class: "view-head" },
          h("h1", null, "Parallel coordinates"),
          lead,
          h("div", { class: "view-tools" }, h("label", { for: "parallel-filter", class: "field" }, "Filter"), search),
        ),
        error,
        h(
          "div",
          { class: "stack" },
          h("div", { class: "card" }, box, picker),
          AIO.section("The best of the selection", null, table),
        ),
      );
      draw();
      const paced = AIO.paced(() => {
        if (!selected) draw();
      }, 3000); // a brush holds what is shown still
      return {
        update(changed) {
          if (changed.trials) paced();
        },
        remove() {
          removed = true;
          paced.stop();
          if (chart) chart.remove();
        },
      };
    },
  };
})();
