/* The page: which run and which view the address names, the navigation, and the flow of changes to what is shown.

   Addresses: #/VIEW, #/VIEW/ARGUMENT, with ?run=ID behind it where there are several runs. */
"use strict";
(function () {
  const { h, fill, setText } = AIO;
  const ORDER = [
    "overview",
    "trials",
    "workers",
    "timeline",
    "curves",
    "failures",
    "parallel",
    "importance",
    "ensemble",
    "mesh",
    "runs",
  ];
  const HELLO = "overview";

  const byId = (id) => document.getElementById(id);
  let runs = [],
    folder = false;
  let context = null; // of the run that is open
  let shown = null; // {name, arg, view}
  let stopWatching = null,
    drawHead = null,
    changed = null;

  function parse() {
    const [path, query] = window.location.hash.replace(/^#\/?/, "").split("?");
    const [name, ...rest] = path.split("/");
    const run = new URLSearchParams(query || "").get("run");
    let arg = null;
    try {
      arg = rest.length ? decodeURIComponent(rest.join("/")) : null;
    } catch {
      /* a broken escape: as if there was none */
    }
    return { name: Object.hasOwn(AIO.views, name) ? name : HELLO, arg, run };
  }

  function linkTo(run, name, arg) {
    return `#/${name}${arg === undefined || arg === null ? "" : `/${encodeURIComponent(arg)}`}${folder && run ? `?run=${encodeURIComponent(run)}` : ""}`;
  }

  function say(text, quiet) {
    setText(byId("announce"), text);
    if (quiet) return;
    const close = h("button", { type: "button", class: "link", onclick: () => note.remove() }, "Dismiss");
    const note = h("div", { class: "notice good" }, text, " ", close);
    byId("notices").append(note);
  }

  /* ------------------------------------------------------------------ navigation */
  const links = new Map();

  function buildNavigation() {
    const names = ORDER.filter((name) => folder || !AIO.views[name].folder);
    links.clear();
    fill(
      byId("nav"),
      names.map((name) => {
        const badge = h("span", { class: "badge" });
        const link = h("a", { href: linkTo(context && context.run, name) }, AIO.views[name].title, badge);
        links.set(name, { link, badge });
        return h("li", null, link);
      }),
    );
  }

  function drawNavigation() {
    const current = shown && (AIO.views[shown.name].parent || shown.name);
    for (const [name, { link, badge }] of links) {
      link.setAttribute("href", linkTo(context && context.run, name));
      if (name === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      const view = AIO.views[name];
      const content = view.badge && context && context.store.summary ? view.badge(context.store) : "";
      setText(badge, typeof content === "object" ? content.text : content);
      badge.classList.toggle("bad", Boolean(content && content.bad));
    }
  }

  /* In a narrow window the navigation is a line that scrolls: bring the current view's link into sight. */
  function revealLink() {
    const link = byId("nav").querySelector("[aria-current=page]"),
      side = document.querySelector(".side");
    if (link && side.scrollWidth > side.clientWidth)
      side.scrollLeft = link.offsetLeft - (side.clientWidth - link.offsetWidth) / 2;
  }

  /* ------------------------------------------------------------------ views */
  function close() {
    if (shown) shown.view.remove();
    shown = null;
  }

  function open(name, arg, focus) {
    close();
    const host = byId("view");
    shown = { name, arg, view: { update() {}, remove() {} } };
    if (!context.store.summary && !AIO.views[name].folder)
      fill(host, h("p", { class: "loading" }, "Reading the run …"));
    else shown.view = AIO.views[name].mount(host, Object.assign(Object.create(context), { arg }));
    drawNavigation();
    revealLink();
    if (focus) {
      byId("main").focus({ preventScroll: true });
      window.scrollTo(0, 0);
      say(`${AIO.views[name].title} is shown.`, true);
    }
  }

  /* Draw what has changed since the last time. */
  const draw = AIO.paced(() => {
    if (!changed || !context) return;
    const news = changed;
    changed = null;
    drawHead();
    drawNotices();
    if (!shown) return;
    if (news.complete) open(shown.name, shown.arg, false);
    else shown.view.update(news);
    drawNavigation();
  }, 100);

  let noticed = "";

  function drawNotices() {
    const notices = context.store.summary ? context.store.summary.notices || [] : [];
    const text = notices.join("\n");
    if (text === noticed) return;
    noticed = text;
    byId("notices")
      .querySelectorAll("[data-kind=run]")
      .forEach((each) => each.remove());
    byId("notices").prepend(...notices.map((each) => h("div", { class: "notice", "data-kind": "run" }, each)));
  }

  function take(delta) {
    const news = context.store.apply(delta);
    if (!changed) changed = { complete: false, trials: false, summary: false };
    for (const name of Object.keys(news)) changed[name] = changed[name] || news[name];
    draw();
  }

  function tell(state) {
    const node = byId("connection");
    node.dataset.state = state.state;
    setText(node, state.text);
    if (state.detail) byId("notices").append(h("div", { class: "notice bad", role: "alert" }, state.detail));
  }

  /* ------------------------------------------------------------------ runs */
  async function openRun(id) {
    if (stopWatching) stopWatching();
    close();
    const run = runs.find((each) => each.id === id);
    changed = null;
    context = {
      store: new AIO.Store(),
      run: id,
      name: run ? run.name : id,
      arg: null,
      say,
      link: (name, arg) => linkTo(id, name, arg),
      linkTo,
      go: (name, arg) => {
        window.location.hash = linkTo(id, name, arg);
      },
    };
    drawHead = AIO.head(context);
    const mine = context;
    const { name, arg } = parse();
    if (!AIO.views[name].folder) fill(byId("view"), h("p", { class: "loading" }, "Reading the run …"));
    const delta = await AIO.source.get(`runs/${encodeURIComponent(id)}/state`);
    if (context !== mine) return;
    context.store.apply(delta);
    drawHead();
    drawNotices();
    open(name, arg, false);
    stopWatching = AIO.source.watch(
      id,
      () => mine.store.lastId,
      (news) => {
        if (context === mine) take(news);
      },
      tell,
    );
  }

  async function route(first) {
    const { name, arg, run } = parse();
    try {
      const wanted =
        run && runs.some((each) => each.id === run)
          ? run
          : (context && context.run) || (runs.find((each) => !each.error) || runs[0] || {}).id;
      if (!wanted) {
        fill(
          byId("view"),
          AIO.empty("There is no run here", "`aiohpo run FILE --dir DIR` makes one; this page then shows it."),
        );
        return;
      }
      if (!context || context.run !== wanted) await openRun(wanted);
      else if (!shown || shown.name !== name || shown.arg !== arg) open(name, arg, !first);
    } catch (error) {
      fill(byId("view"), h("div", { class: "card" }, AIO.empty("The run cannot be shown", "", error.message)));
    }
  }

  /* ------------------------------------------------------------------ begin */
  function themeButton() {
    const button = byId("theme");
    const label = () => setText(button, AIO.theme.current() === "dark" ? "Light mode" : "Dark mode");
    button.addEventListener("click", AIO.theme.toggle);
    AIO.theme.onchange(label);
    label();
  }

  byId("skip").addEventListener("click", (event) => {
    // the address belongs to the views
    event.preventDefault();
    byId("main").focus();
  });

  async function begin() {
    themeButton();
    try {
      const answer = await AIO.source.get("runs");
      runs = answer.runs;
      folder = answer.folder && !AIO.source.embedded;
    } catch (error) {
      tell({
        state: error.status === 403 ? "refused" : "waiting",
        text: error.status === 403 ? "Token refused" : "No connection",
      });
      fill(byId("view"), h("div", { class: "card" }, AIO.empty("The dashboard cannot be shown", "", error.message)));
      return;
    }
    buildNavigation();
    if (folder && !window.location.hash) window.history.replaceState(null, "", `${window.location.search}#/runs`);
    window.addEventListener("hashchange", () => route(false));
    await route(true);
  }

  begin();
})();
