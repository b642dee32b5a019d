/* All trials in a table: sorted by any column, filtered by conditions, a page at a time. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const PAGE = 100;

  function columnsOf(store) {
    const t = store.trials;
    const fixed = [
      { name: "number", head: "Trial", key: (row) => t.number[row] },
      { name: "status", head: "Status", key: (row) => t.status[row] },
      {
        name: "value",
        head: store.metric,
        key: (row) => t.value[row],
        text: (row) => format.number(t.value[row]),
        numeric: true,
      },
      {
        name: "step",
        head: "Step",
        key: (row) => t.step[row],
        text: (row) => format.count(t.step[row]),
        numeric: true,
      },
      {
        name: "seconds",
        head: "Time",
        key: (row) => t.seconds[row],
        text: (row) => format.duration(t.seconds[row]),
        numeric: true,
      },
      {
        name: "started",
        head: "Started",
        key: (row) => t.started[row],
        text: (row) => format.moment(store.base + t.started[row]),
      },
      { name: "worker", head: "Worker", key: (row) => t.worker[row], text: (row) => store.workerName(row) },
    ];
    return [
      ...fixed,
      ...store.parameters.map((parameter) => ({
        name: `param ${parameter.name}`,
        head: parameter.name,
        key: (row) => store.param(parameter.name)[row],
        text: (row) => store.paramText(parameter, row),
        numeric: parameter.kind !== "choice",
      })),
    ];
  }

  function cells(context, columns, row) {
    const { store } = context;
    return columns.map((column) => {
      if (column.name === "number")
        return h("td", null, h("a", { href: context.link("trial", store.id(row)) }, store.title(row)));
      if (column.name === "status") {
        const status = store.statusName(row);
        return h("td", null, h("span", { class: "status", "data-status": status }, status));
      }
      const text = column.text(row);
      return h("td", { class: column.numeric ? "num" : null, title: text.length > 24 ? text : null }, text);
    });
  }

  AIO.views.trials = {
    title: "Trials",
    badge: (store) =>
      store.summary ? format.count(Object.values(store.summary.study.counts).reduce((a, b) => a + b, 0)) : "",
    mount(host, context) {
      const { store } = context;
      const columns = columnsOf(store);
      let sort = { name: "number", descending: true },
        page = 0,
        filter = "",
        test = () => true,
        rows = new Uint32Array(0);

      const error = h("p", { class: "field-error", role: "alert", id: "filter-error" });
      const search = h("input", {
        type: "search",
        placeholder: "e.g.  status=finished lr<0.01",
        id: "filter",
        "aria-describedby": "filter-help filter-error",
        autocomplete: "off",
        spellcheck: "false",
        oninput: () => {
          filter = search.value;
          page = 0;
          apply();
        },
      });
      const lead = h("p", { class: "muted", role: "status", "aria-live": "polite" });
      const headRow = h("tr"),
        body = h("tbody");
      const previous = h(
        "button",
        {
          type: "button",
          onclick: () => {
            page--;
            render();
          },
        },
        "← Previous",
      );
      const next = h(
        "button",
        {
          type: "button",
          onclick: () => {
            page++;
            render();
          },
        },
        "Next →",
      );
      const where = h("span");

      const heads = columns.map((column) => {
        const th = h(
          "th",
          { scope: "col", class: column.numeric ? "num" : null },
          h(
            "button",
            {
              type: "button",
              class: "sort",
              onclick: () => {
                sort = {
                  name: column.name,
                  descending:
                    sort.name === column.name
                      ? !sort.descending
                      : column.name === "number" || (column.name === "value" && store.sign < 0),
                };
                page = 0;
                apply();
              },
            },
            column.head,
          ),
        );
        headRow.append(th);
        return [column, th];
      });

      fill(
        host,
        h(
          "div",
          { class: "view-head" },
          h("h1", null, "Trials"),
          lead,
          h("div", { class: "view-tools" }, h("label", { for: "filter", class: "field" }, "Filter"), search),
        ),
        h(
          "p",
          { id: "filter-help", class: "sr" },
          "Conditions that all have to hold, separated by spaces: a column or parameter, then =, !=, <, <=, > or >=, then a value. A word alone is looked for in id, status and worker.",
        ),
        error,
        h(
          "div",
          { class: "card" },
          h(
            "div",
            { class: "table-scroll trials-table", tabindex: "0", role: "region", "aria-label": "Trials" },
            h(
              "table",
              null,
              h("caption", { class: "sr" }, "Trials, a page at a time"),
              h("thead", null, headRow),
              body,
            ),
          ),
          h("div", { class: "pager" }, previous, next, where),
        ),
      );

      function apply() {
        const parsed = AIO.query.parse(store, filter);
        AIO.setText(error, parsed.error || "");
        search.classList.toggle("invalid", Boolean(parsed.error));
        search.setAttribute("aria-invalid", String(Boolean(parsed.error)));
        if (!parsed.error) test = parsed.test;
        const column = columns.find((each) => each.name === sort.name);
        const visible = store.visibleRows();
        rows = AIO.columns.sorted(filter ? visible.filter(test) : visible, column.key, sort.descending);
        AIO.setText(
          lead,
          filter
            ? `${format.count(rows.length)} of ${format.plural(visible.length, "trial")}`
            : format.plural(rows.length, "trial"),
        );
        render();
      }

      function render() {
        const pages = Math.max(1, Math.ceil(rows.length / PAGE));
        page = Math.min(Math.max(page, 0), pages - 1);
        for (const [column, th] of heads) {
          if (column.name === sort.name) th.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
          else th.removeAttribute("aria-sort");
        }
        const best = store.summary && store.summary.study.best;
        const bestNumber = best ? best.number : -1;
        const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        fill(
          body,
          Array.from(rows.subarray(page * PAGE, (page + 1) * PAGE), (row) =>
            h("tr", { class: store.trials.number[row] === bestNumber ? "best" : null }, cells(context, columns, row)),
          ),
        );
        if (!rows.length) {
          body.append(
            h(
              "tr",
              null,
              h(
                "td",
                { colspan: columns.length },
                filter
                  ? AIO.empty("No trial matches this filter", "Empty the field to see all of them.")
                  : AIO.empty("No trial has started yet", "Trials are listed here as workers begin with them."),
              ),
            ),
          );
        }
        if (focused) {
          const again = [...body.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
          if (again) again.focus({ preventScroll: true });
        }
        previous.disabled = page === 0;
        next.disabled = page >= pages - 1;
        AIO.setText(
          where,
          rows.length
            ? `${format.count(page * PAGE + 1)}–${format.count(Math.min((page + 1) * PAGE, rows.length))} of ${format.count(rows.length)}`
            : "",
        );
      }

      const paced = AIO.paced(apply, 500);
      apply();
      return {
        update(changed) {
          if (changed.trials) paced();
        },
        remove: paced.stop,
      };
    },
  };
})();
