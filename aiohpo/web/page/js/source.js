/* Where the page's data come from: a server that is live, or what a report carries inside itself. One interface:

   get(path)     the answer to api/PATH; throws an Error whose message is meant for people
   post(path, …) one of the two actions
   watch(…)      the stream of changes, which goes on where it was after a break
   address(path) where a link to api/PATH leads; null where there is none
   embedded      whether this is a report: nothing changes, nothing can be done, nothing is loaded */
"use strict";
(function () {
  const holder = document.getElementById("aiohpo-data");
  const data = holder ? JSON.parse(holder.textContent) : null;
  const token = new URLSearchParams(window.location.search).get("token");
  const REFUSED = "The server refuses the token of this address. Open the address that aiohpo dashboard printed last.";

  async function answerOf(request) {
    let response;
    try {
      response = await request;
    } catch {
      throw new Error("The server does not answer.");
    }
    let answer = null;
    try {
      answer = await response.json();
    } catch {
      /* a proxy's page, perhaps; the status says enough */
    }
    if (response.ok && answer !== null) return answer;
    const error = new Error(
      response.status === 403 ? REFUSED : (answer && answer.error) || `The server answers ${response.status}.`,
    );
    error.status = response.status;
    throw error;
  }

  function live() {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    return {
      embedded: false,
      address: (path) => `api/${path}${token ? `?${new URLSearchParams({ token })}` : ""}`,
      get: (path) => answerOf(fetch(`api/${path}`, { headers, cache: "no-store" })),
      post: (path, action, body) =>
        answerOf(
          fetch(`api/${path}`, {
            method: "POST",
            headers: { ...headers, "Content-Type": "application/json", "X-Aiohpo-Confirm": action },
            body: JSON.stringify(body),
          }),
        ),

      /* Follow a run. ``position()`` is where to go on; ``take`` gets each delta; ``tell`` gets {state, text} of the
         connection. Returns what ends it. */
      watch(run, position, take, tell) {
        let stream = null,
          timer = null,
          failures = 0,
          ended = false;

        function connect() {
          timer = null;
          const query = new URLSearchParams();
          if (position()) query.set("after", position());
          if (token) query.set("token", token);
          stream = new EventSource(`api/runs/${encodeURIComponent(run)}/events?${query}`);
          stream.onopen = () => {
            failures = 0;
            tell({ state: "live", text: "Live" });
          };
          stream.addEventListener("news", (event) => take(JSON.parse(event.data)));
          stream.addEventListener("failure", (event) => {
            // the run itself is gone: its directory was removed, perhaps
            ended = true;
            stream.close();
            tell({ state: "refused", text: "Run unreadable", detail: JSON.parse(event.data).error });
          });
          stream.onerror = retry;
        }

        async function retry() {
          stream.close();
          if (ended || timer !== null) return;
          const seconds = Math.min(2 ** failures++, 10);
          tell({
            state: "waiting",
            text: `Connection lost; trying again ${seconds === 1 ? "now" : `in ${seconds} s`}`,
          });
          timer = setTimeout(connect, seconds * 1000);
          try {
            // a stream does not say why it was refused
            await answerOf(fetch("api/runs", { headers, cache: "no-store" }));
          } catch (error) {
            if (error.status !== 403 || ended) return;
            clearTimeout(timer);
            ended = true;
            tell({ state: "refused", text: "Token refused", detail: REFUSED });
          }
        }

        tell({ state: "waiting", text: "Connecting" });
        connect();
        return () => {
          ended = true;
          stream.close();
          if (timer !== null) clearTimeout(timer);
        };
      },
    };
  }

  function embedded() {
    return {
      embedded: true,
      address: () => null,
      async get(path) {
        const [where, query] = path.split("?").map(decodeURIComponent); // its keys are not escaped
        const answer = data.api[`${where}?${query}`] ?? data.api[where];
        if (answer === undefined) throw new Error("This report does not contain it.");
        if (answer && typeof answer === "object" && "error" in answer && Object.keys(answer).length === 1) {
          throw new Error(answer.error);
        }
        return answer;
      },
      post: () => Promise.reject(new Error("A report cannot change a search.")),
      watch(run, position, take, tell) {
        tell({ state: "report", text: `Report of ${AIO.format.moment(data.made)}` });
        return () => {};
      },
    };
  }

  AIO.source = data ? embedded() : live();
})();
