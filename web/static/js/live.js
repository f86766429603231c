// Hears from the server while the window is open, by a stream, and by asking where there is none. What is heard goes to
// the other scripts as the event "gensvar:news"; the banner says when nothing can be heard.
(() => {
  "use strict";
  const { page } = gensvar;
  if (!page.user) return;
  const ASK = 2000; // milliseconds between two questions of a window somebody looks at
  const SELDOM = 30000; // of one that nobody looks at
  const RETRY = [1000, 2000, 5000, 15000, 30000]; // until the stream is tried again
  const SILENT = 35000; // the server says something every fifteen seconds
  const ASLEEP = 15000; // a clock that has jumped by so much: the computer slept
  const name = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const trouble = document.getElementById("trouble");
  const here = () => new Date().toLocaleTimeString(document.documentElement.lang,
    { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: page.zone }); // as the server writes it

  let last = page.last === undefined ? null : Number(page.last);
  let state = ""; // of the last answer, so that the same is not sent again
  let restarts = page.restarts === undefined ? null : Number(page.restarts);
  let stream = null;
  let showing = ""; // what the stream was told that this window shows
  let tries = 0;
  let failures = 0;
  let heard = Date.now();
  let seen = here();
  let looked = Date.now();
  let asking = false;
  let out = false; // the login has ended
  let timer;
  let restartedAt = null;

  function say(text, login) {
    if ((trouble.dataset.said ?? trouble.textContent) === text) return;
    trouble.dataset.said = text;
    trouble.textContent = text;
    if (login) {
      const a = document.createElement("a");
      a.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      a.textContent = trouble.dataset.login;
      trouble.append(" ", a);
    }
  }

  // What this window shows, as the server wants to know it; a window nobody looks at is nowhere.
  function shown() {
    const list = document.getElementById("cases");
    const query = new URLSearchParams(list ? location.search : "");
    for (const own of gensvar.own) query.delete(own);
    if (list) query.set("list", "1");
    if (document.hidden) return query;
    query.set("window", name);
    const open = gensvar.open();
    if (open) query.set("case", open.dataset.case);
    return query;
  }

  function connected() {
    heard = Date.now();
    seen = here();
    failures = 0;
  }

  function heed(hint) {
    connected();
    last = Math.max(last ?? 0, hint.last);
    if (hint.at) gensvar.skew = Math.abs(Date.now() - hint.at) > 2000 ? Date.now() - hint.at : 0;
    if (hint.collecting) {
      if (restarts !== null && hint.restarts > restarts) { restartedAt = here(); setTimeout(() => { restartedAt = null; say(""); }, 30000); }
      restarts = hint.restarts;
      page.collecting = hint.collecting;
    }
    tell();
    document.dispatchEvent(new CustomEvent("gensvar:news", { detail: hint }));
  }

  function tell() {
    if (page.collecting === "down") say(trouble.dataset.down);
    else if (restartedAt) say(trouble.dataset.restarted.replace("{time}", restartedAt));
    else say("");
  }

  async function ask() {
    if (asking) return;
    asking = true;
    try {
      const query = shown();
      if (last !== null) query.set("after", last);
      query.set("state", state);
      const answer = await fetch(`/live?${query}`, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(10000) });
      out = answer.status === 401;
      if (out) { say(trouble.dataset.out, true); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      connected();
      if (answer.status === 204) { tell(); return; }
      const hint = await answer.json();
      state = hint.state;
      heed(hint);
    } catch {
      failures += 1;
      if (failures > 1 || !navigator.onLine) say(trouble.dataset.lost.replace("{time}", seen));
    } finally {
      asking = false;
    }
  }

  function close() {
    stream?.close();
    stream = null;
  }

  function connect() {
    close();
    const query = shown();
    showing = String(query);
    if (last !== null) query.set("after", last);
    const mine = new EventSource(`/live/stream?${query}`);
    stream = mine;
    heard = Date.now();
    mine.addEventListener("message", (event) => { if (stream === mine) { tries = 0; heed(JSON.parse(event.data)); } });
    mine.addEventListener("still", () => { if (stream === mine) { connected(); tell(); } });
    mine.addEventListener("error", () => { if (stream === mine) lost(); });
  }

  // The stream has ended: asking tells why, and goes on until there is one again.
  function lost() {
    close();
    const wait = RETRY[Math.min(tries, RETRY.length - 1)] * (0.5 + Math.random()); // not all windows at the same moment
    tries += 1;
    go(Date.now() + wait);
  }

  // The one loop of a window without a stream. ``retry``: when a stream is to be tried (milliseconds).
  async function go(retry) {
    clearTimeout(timer);
    if (!document.hidden && Date.now() >= retry) { connect(); return; }
    await ask();
    if (stream) return;
    clearTimeout(timer);
    const wait = document.hidden || out ? SELDOM : Math.min(ASK, Math.max(100, retry - Date.now()));
    timer = setTimeout(() => go(retry), wait);
  }

  function now() {
    tries = 0;
    close();
    go(0);
  }

  // A part of the page was swapped: the server hears what is shown now.
  function moved() { if (stream && !document.hidden && String(shown()) !== showing) now(); }
  htmx.onLoad(moved);
  document.addEventListener("visibilitychange", now);
  window.addEventListener("online", now);
  window.addEventListener("offline", () => { close(); failures += 1; go(Date.now() + ASK); });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => { if (event.persisted) now(); });
  setInterval(() => {
    const slept = Date.now() - looked > ASLEEP;
    looked = Date.now();
    if (slept || (stream && Date.now() - heard > SILENT)) now();
    else moved(); // a pane that was closed loads nothing
  }, 5000);

  gensvar.window = name;
  gensvar.last = () => last;
  gensvar.refresh = () => { if (!stream) ask(); }; // a stream tells by itself
  gensvar.refused = now; // a stream may outlive its login: asked for anew, it says so
  tell();
  go(0);
})();
