// Who has a case before them and who writes there, in the rows and on the case; and telling that somebody writes here.
(() => {
  "use strict";
  const QUIET = 8000; // milliseconds without a key: no longer writing
  const AGAIN = 1500; // the server does not know the window yet
  const words = document.getElementById("there")?.dataset;
  if (!words) return;
  let there = new Map(); // case -> [[user, name, writing]]
  let at = null; // the case somebody writes in here
  let timer;

  // Each colleague is a phrase of their own, whoever writes first.
  function draw(mark) {
    const people = (there.get(mark.dataset.there) || []).filter(([user]) => String(user) !== gensvar.page.user);
    people.sort((one, other) => other[2] - one[2]);
    const phrases = people.map(([, name, writing]) => {
      const phrase = document.createElement("span");
      phrase.className = writing ? "writes" : "reads";
      phrase.textContent = (writing ? words.writes : words.reads).replace("{name}", name);
      return phrase;
    });
    if (mark.textContent === phrases.map((phrase) => phrase.textContent).join("")) return;
    mark.replaceChildren(...phrases);
  }

  function drawAll(root = document) {
    for (const mark of root.querySelectorAll("[data-there]")) if (!gensvar.paused() || !mark.closest(".row")) draw(mark);
  }

  document.addEventListener("gensvar:news", ({ detail: hint }) => {
    if (!hint.there) return;
    if (hint.whole) there = new Map();
    for (const [number, people] of Object.entries(hint.there)) {
      if (people.length) there.set(number, people);
      else there.delete(number);
    }
    drawAll();
  });
  for (const drawn of ["gensvar:drawn", "gensvar:paused"]) document.addEventListener(drawn, () => drawAll());
  htmx.onLoad((root) => drawAll(root));

  // -- writing ------------------------------------------------------------------------------------------------------
  async function say(number, writing) {
    const told = new URLSearchParams({ window: gensvar.window, case: number, writing: writing ? "1" : "0" });
    try {
      const answer = await fetch("/live/writing", { method: "POST", body: told, headers: { "HX-Request": "true" }, keepalive: !writing });
      if (answer.status === 202 && writing && at === number) setTimeout(() => { if (at === number) say(number, true); }, AGAIN);
    } catch { /* live.js says that there is no connection */ }
  }

  function stop() {
    clearTimeout(timer);
    if (at !== null) say(at, false);
    at = null;
  }

  document.addEventListener("input", (event) => {
    if (!event.isTrusted || !event.target.matches?.("#case textarea")) return;
    const number = gensvar.open()?.dataset.case;
    if (!number) return;
    clearTimeout(timer);
    timer = setTimeout(stop, QUIET);
    if (at === number) return;
    if (at !== null) stop();
    at = number;
    say(number, true);
  });
  document.addEventListener("submit", (event) => { if (event.target.querySelector("textarea")) stop(); });
  htmx.onLoad(() => { if (at !== null && gensvar.open()?.dataset.case !== at) { clearTimeout(timer); at = null; } }); // the server knows
})();
