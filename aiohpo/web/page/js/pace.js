/* How often something is drawn: at most once a frame, and never for more than a fifth of the time.

   paced(draw) returns a function that may be called for every event. The more a drawing costs, the rarer it is drawn,
   so that a flood of events, or 100,000 trials, leaves the page free for the person who reads it. */
"use strict";
(function () {
  const SHARE = 5; // a drawing that took 40 ms is not drawn again before 200 ms have passed
  const SLOWEST = 5000;

  AIO.paced = function (draw, least = 0) {
    let pending = false,
      stopped = false,
      notBefore = 0;

    function run() {
      pending = false;
      if (stopped) return;
      const began = performance.now();
      draw();
      const now = performance.now();
      notBefore = now + Math.min(Math.max((now - began) * SHARE, least), SLOWEST);
    }

    function request() {
      if (pending || stopped) return;
      pending = true;
      const wait = notBefore - performance.now();
      if (wait > 0) setTimeout(() => requestAnimationFrame(run), wait);
      else requestAnimationFrame(run);
    }
    request.now = run;
    request.stop = () => {
      stopped = true;
    };
    return request;
  };

  /* Ask the server for something that it computes, again when the search has moved on, and no more often than every
     ``least`` milliseconds; not at all while the tab is hidden. ``path()`` may change with what the person chose.
     ``take(answer)`` and ``fail(message)`` get what came; an answer to a question that was replaced is dropped. */
  AIO.refreshed = function (path, take, fail, least) {
    let stopped = false,
      busy = false,
      again = false,
      timer = null,
      asked = 0,
      turn = 0;

    async function ask() {
      timer = null;
      if (stopped || document.hidden) return;
      if (busy) {
        again = true;
        return;
      }
      busy = true;
      again = false;
      const mine = turn;
      const began = performance.now();
      try {
        const answer = await AIO.source.get(path());
        if (!stopped && mine === turn) take(answer);
      } catch (error) {
        if (!stopped && mine === turn) fail(error.message);
      }
      busy = false;
      asked = performance.now() + Math.max(least, (performance.now() - began) * SHARE);
      if (again && !stopped) request();
    }

    function request() {
      if (timer !== null || stopped || AIO.source.embedded) return;
      timer = setTimeout(ask, Math.max(0, asked - performance.now()));
    }

    function restart() {
      // what is asked for has changed: at once, also of a report
      turn++;
      asked = 0;
      if (timer !== null) clearTimeout(timer);
      timer = null;
      if (busy) again = true;
      else ask();
    }

    const seen = () => {
      if (!document.hidden) request();
    };
    document.addEventListener("visibilitychange", seen);
    ask();
    return {
      request,
      restart,
      stop() {
        stopped = true;
        if (timer !== null) clearTimeout(timer);
        document.removeEventListener("visibilitychange", seen);
      },
    };
  };
})();
