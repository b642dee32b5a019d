/* How the peers keep in step, as seen from where this page's server looks. */
"use strict";
(function () {
  const { h, fill, format } = AIO;

  function figures(mesh) {
    const row = (term, value, note) => [
      h("dt", null, term),
      h("dd", null, value, " ", h("span", { class: "muted" }, note)),
    ];
    return h(
      "dl",
      { class: "pairs" },
      row("Links", format.count(mesh.links), "workers that frames come from directly"),
      row(
        "Round trip",
        mesh.round_trip === null ? "–" : format.duration(mesh.round_trip),
        "from a ping to its answer, smoothed",
      ),
      row("Silent for", format.duration(mesh.silent), "since anything arrived from anybody"),
      row("Repairs", format.count(mesh.repairs), "rounds in which a peer had something that was missing here"),
      row("Duplicates", format.count(mesh.duplicates), "events that arrived once more"),
      row("Dropped", format.count(mesh.dropped), "frames that were malformed or of another study"),
      row("Received", `${format.count(mesh.frames_in)} frames`, format.bytes(mesh.bytes_in)),
      row("Sent", `${format.count(mesh.frames_out)} frames`, format.bytes(mesh.bytes_out)),
    );
  }

  function members(states) {
    return AIO.table(
      "Workers by state",
      ["State", "Workers", "What it means"],
      ["alive", "suspect", "dead", "left", "unknown"]
        .filter((status) => states[status])
        .map((status) => [
          h("span", { class: "status", "data-status": status }, status),
          format.count(states[status]),
          {
            alive: "answers its peers",
            suspect: "silent, and one peer accuses it; a second one declares it dead",
            dead: "declared so; what it ran is taken over",
            left: "said goodbye",
            unknown: "named in the log, never met",
          }[status],
        ]),
      [1],
    );
  }

  AIO.views.mesh = {
    title: "Mesh",
    mount(host, context) {
      const { store } = context;
      const health = h("div"),
        who = h("div"),
        trouble = h("div");

      function draw() {
        const { mesh, workers, states } = store.summary;
        fill(
          health,
          mesh
            ? figures(mesh)
            : AIO.empty(
                "These data come from a directory",
                "The mesh is measured from inside it: `aiohpo dashboard tcp://HOST:PORT` joins the search as a spectator, which records nothing.",
              ),
        );
        fill(who, workers.length ? members(states) : AIO.empty("No worker has started yet", ""));
        const lonely = workers.filter((worker) => worker.unanswered.length);
        fill(
          trouble,
          lonely.length
            ? AIO.table(
                "Addresses without an answer",
                ["Worker", "Told to join"],
                lonely.map((worker) => [h("span", { class: "mono" }, worker.id), worker.unanswered.join(", ")]),
              )
            : h("p", { class: "muted" }, "Every worker has been answered at the addresses that it was told to join."),
        );
      }

      fill(
        host,
        h("div", { class: "view-head" }, h("h1", null, "Mesh")),
        h(
          "div",
          { class: "grid" },
          h("div", { class: "span-6 stack" }, AIO.section("The mesh from here", null, health)),
          h(
            "div",
            { class: "span-6 stack" },
            AIO.section("Workers by state", null, who),
            AIO.section("Addresses without an answer", null, trouble),
          ),
        ),
      );
      draw();
      const paced = AIO.paced(draw, 500);
      return {
        update(changed) {
          if (changed.summary) paced();
        },
        remove: paced.stop,
      };
    },
  };
})();
