// Keeps open pages true. One stream of bells (server-sent events) for the whole page; a bell says only that
// something changed, and the elements that show it fetch themselves again through the ordinary routes.
//
// An element takes part with `data-live` (its topics, or "live" for any), `hx-get` and `hx-trigger="live"`.
// Without a stream the page polls every 15 seconds. A hidden page is quiet and catches up when it is seen.
(() => {
  "use strict";

  const meta = document.querySelector('meta[name="live"]');
  if (!meta || !window.EventSource) return;

  const POLL = 15_000;
  const HIDDEN_GRACE = 30_000; // a page hidden for longer lets go of its stream
  const FIRST_RETRY = 2_000;
  const LAST_RETRY = 60_000;
  const LEAVING = 10_000; // a page that was sent away by a form and is still here after that stays
  const LOADED_FRESH = 10_000; // the hub repeats the bells of the last 15 s to whoever comes

  let stream = null;
  let state = "idle"; // idle, connecting, open, late, refused
  let wait = 0;
  let spread = 300;
  let pollsToo = false;
  let retry = FIRST_RETRY;
  let hasMissed = false; // something may have changed that no bell told this page
  let rung = new Set();
  let declared = "";
  const timers = {};

  const live = () => document.querySelectorAll("[data-live]");
  const topicsOf = (element) => element.dataset.live.split(/\s+/).filter(Boolean);
  const seconds = (from, to) => from + Math.random() * (to - from);

  function later(name, delay, action) {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(() => {
      delete timers[name];
      action();
    }, delay);
  }

  function stop(name) {
    clearTimeout(timers[name]);
    delete timers[name];
  }

  // Topics a page names beside what its viewer hears anyway: those of a broadcast or an import under way, or of a job.
  function named() {
    const topics = new Set([...live()].flatMap(topicsOf));
    return [...topics].filter((topic) => /^(broadcast|import|item):/.test(topic)).sort();
  }

  // ---- refreshing ----------------------------------------------------------------------------------------

  function hears(element, topics) {
    const own = topicsOf(element);
    return topics.has("*") || own.includes("live") || own.some((topic) => topics.has(topic));
  }

  function refresh() {
    if (document.hidden || timers.leaving) return;
    const topics = rung;
    rung = new Set();
    for (const element of live()) {
      if (hears(element, topics)) element.dispatchEvent(new CustomEvent("live", { bubbles: false }));
    }
  }

  function ring(topic) {
    rung.add(topic);
    if (!document.hidden && !timers.refresh) later("refresh", seconds(wait, wait + spread), refresh);
  }

  function poll() {
    later("poll", seconds(POLL * 0.9, POLL * 1.1), () => {
      ring("*");
      poll();
    });
  }

  const startPolling = () => timers.poll || poll();
  const stopPolling = () => pollsToo || stop("poll");

  // ---- the stream ----------------------------------------------------------------------------------------

  async function connect() {
    if (state !== "idle" || document.hidden || !live().length) return;
    stop("connect");
    state = "connecting";
    declared = named().join(" ");
    const address = new URL(meta.content, location.href);
    for (const topic of named()) address.searchParams.append("topic", topic);
    let answer;
    try {
      answer = await fetch(address, { headers: { "X-Background": "1" }, credentials: "same-origin" });
    } catch {
      return lose();
    }
    if (answer.status === 404 || answer.status === 401) {
      // Nothing to hear for this viewer any more: the elements find out why, and htmx follows where it is sent.
      state = "refused";
      startPolling();
      return;
    }
    if (!answer.ok) return lose();
    let told;
    try {
      told = await answer.json();
    } catch {
      return lose();
    }
    wait = Math.min(told.wait, 500);
    spread = Math.min(told.spread, 400);
    pollsToo = told.poll;
    if (pollsToo) startPolling();
    open(told);
  }

  function open(told) {
    if (document.hidden) {
      state = "idle";
      return;
    }
    stream = new EventSource(told.url);
    const opened = stream;
    const current = () => stream === opened;
    stream.addEventListener("state", (event) => {
      if (!current()) return;
      const late = JSON.parse(event.data).late;
      retry = FIRST_RETRY;
      if (late) {
        hasMissed = true;
        startPolling();
      } else {
        stopPolling();
        if (hasMissed) ring("*");
        hasMissed = false;
      }
      state = late ? "late" : "open";
    });
    stream.addEventListener("message", (event) => {
      if (current()) ring(JSON.parse(event.data).topic);
    });
    stream.addEventListener("end", (event) => {
      if (!current()) return;
      const reason = JSON.parse(event.data).reason;
      close();
      if (reason === "session") ring("*");
      else if (reason === "expired") connect();
      else lose();
    });
    stream.addEventListener("error", () => current() && lose());
    // A little before the token runs out, so that the page is never without a stream.
    later("renew", told.renew * 1000 * seconds(0.85, 0.95), () => {
      close();
      connect();
    });
  }

  function close() {
    stop("renew");
    stream?.close();
    stream = null;
    if (state !== "refused") state = "idle";
  }

  // The stream is gone and nobody knows what it would have said: poll, and come back after a while.
  function lose() {
    close();
    if (timers.connect) return;
    hasMissed = true;
    startPolling();
    later("connect", seconds(retry / 2, retry), connect);
    retry = Math.min(retry * 2, LAST_RETRY);
  }

  // ---- seen and hidden -----------------------------------------------------------------------------------

  function rest() {
    hasMissed = true;
    stop("connect");
    stop("poll");
    close();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      later("rest", HIDDEN_GRACE, rest);
      return;
    }
    stop("rest");
    if (rung.size) later("refresh", seconds(0, spread), refresh);
    if (state === "idle" && !timers.connect) {
      // The first state the hub tells leads to catching up; until then the page asks once by itself.
      ring("*");
      connect();
    }
  });
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
      ring("*");
      connect();
    }
  });

  // A plain form leads the page elsewhere. What it ends, such as the session, must not lead it elsewhere first.
  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented) later("leaving", LEAVING, () => ring("*"));
  });

  // What could not be fetched is fetched again a while later: no bell may come for it any more.
  document.addEventListener("live:missed", () => {
    if (!timers.again) later("again", seconds(POLL / 2, POLL), () => ring("*"));
  });

  // ---- requests and what they change ---------------------------------------------------------------------

  // What a page asks by itself never keeps a session alive.
  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceEvent?.type === "live") ctx.request.headers["X-Background"] = "1";
  });

  const shown = new WeakMap(); // source element → what its rows showed before the swap

  function rowsOf(root) {
    const rows = new Map();
    for (const row of root.querySelectorAll("[id]")) {
      const copy = row.cloneNode(true);
      for (const time of copy.querySelectorAll("time")) time.remove();
      rows.set(row.id, copy.textContent.replace(/\s+/g, " "));
    }
    return rows;
  }

  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceEvent?.type === "live") shown.set(ctx, rowsOf(ctx.target));
  });

  document.addEventListener("htmx:after:swap", (event) => {
    const { ctx } = event.detail;
    const before = shown.get(ctx);
    if (before) markChanges(before, document.getElementById(ctx.sourceElement.id) || ctx.sourceElement);
    if (stream && named().join(" ") !== declared) close();
    connect();
  });

  const fresh = new Set(); // ids of the rows that are marked at the moment

  // A new row is marked whole; of what has changed only the innermost: a list is not fresh because a row of it is.
  function markChanges(before, root) {
    const now = [...rowsOf(root)].filter(([id, text]) => before.get(id) !== text).map(([id]) => document.getElementById(id));
    const added = now.filter((row) => !before.has(row.id));
    for (const row of now) {
      const marked = before.has(row.id)
        ? now.every((other) => other === row || !row.contains(other))
        : added.every((other) => other === row || !other.contains(row));
      if (marked) mark(row.id);
    }
    // The swap has put the classes of the server in place of those of marks that still last.
    for (const id of fresh) document.getElementById(id)?.classList.add("is-fresh");
  }

  function mark(id) {
    fresh.add(id);
    later(`fresh ${id}`, 2_000, () => {
      fresh.delete(id);
      document.getElementById(id)?.classList.remove("is-fresh");
    });
  }

  // ---- start ---------------------------------------------------------------------------------------------

  hasMissed = performance.now() > LOADED_FRESH;
  connect();
})();
