/* The two actions, each behind a dialog that says what will happen. */
"use strict";
(function () {
  const { h } = AIO;

  /* Ask before something is done. ``act()`` does it and returns a sentence; an error is shown in the dialog. */
  function confirm({ title, body, button, danger, act, done }) {
    const message = h("p", { class: "field-error", role: "alert" });
    const go = h("button", { type: "button", class: danger ? "danger solid" : "solid" }, button);
    const cancel = h("button", { type: "button" }, "Cancel");
    const id = "dialog-title";
    const dialog = h(
      "dialog",
      { "aria-labelledby": id },
      h("h2", { id }, title),
      body.map((text) => h("p", null, text)),
      message,
      h("div", { class: "dialog-actions" }, cancel, go),
    );
    const before = document.activeElement;
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before && before.isConnected) before.focus();
    });
    go.addEventListener("click", async () => {
      go.disabled = true;
      AIO.setText(message, "");
      try {
        const text = await act();
        dialog.close();
        done(text);
      } catch (error) {
        AIO.setText(message, error.message);
        go.disabled = false;
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    cancel.focus(); // what changes nothing comes first under the keyboard
  }

  function endSearch(run, store, say) {
    const counts = store.summary.study.counts;
    confirm({
      title: "End this search?",
      body: [
        "Every worker stops asking for new trials and leaves. What has been observed stays, and the search can be taken up again.",
        `${AIO.format.plural(counts.running || 0, "trial is", "trials are")} running now.`,
      ],
      button: "End the search",
      danger: true,
      done: say,
      act: async () => (await AIO.source.post(`runs/${encodeURIComponent(run)}/stop`, "stop", {})).message,
    });
  }

  function retryFailed(run, trials, count, say) {
    confirm({
      title: trials.length
        ? `Retry ${AIO.format.plural(count, "failed trial")} of this group?`
        : `Retry ${AIO.format.plural(count, "failed trial")}?`,
      body: [
        "Each gets a new trial with the same configuration, which takes its place in the budget. Workers that are here begin with them; " +
          "otherwise they wait until one starts.",
      ],
      button: "Retry",
      done: say,
      act: async () => (await AIO.source.post(`runs/${encodeURIComponent(run)}/retry`, "retry", { trials })).message,
    });
  }

  AIO.actions = { endSearch, retryFailed };
})();
