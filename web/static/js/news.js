// Shows what is new without moving anything under a hand: rows and messages change where they stand, new ones wait
// behind a button. Asks for what it shows, at most once a second, and only when that has changed.
(() => {
  "use strict";
  const PACE = 1000;
  const PAUSED = "paused"; // remembered in this browser
  let waiting = new Set(); // cases that the list would hold
  let lots = false; // more than can be told one by one
  let rows = new Set(); // cases in the list that have changed
  let thread = false; // whether the open case has
  let timer = null;
  let asked = 0;
  let messages = [];
  let counts = {}; // address of a view -> how many cases

  const paused = () => localStorage.getItem(PAUSED) === "yes";
  const firstPage = () => !new URLSearchParams(location.search).has("cursor");

  function offer(pane, count) {
    const button = document.querySelector(`${pane} button.news`);
    if (!button) return;
    const { one, many } = button.dataset;
    const text = count === Infinity ? button.dataset.lots || many.replace("{n}", "") : count === 1 ? one : many.replace("{n}", count);
    if (button.textContent !== text) button.textContent = text;
    if (button.hidden && count) gensvar.announce(text);
    button.hidden = !count;
  }

  function offerCases() {
    if (!paused()) offer("#list", lots ? Infinity : waiting.size);
  }

  document.addEventListener("gensvar:news", ({ detail: hint }) => {
    const listed = new Set(hint.in);
    for (const number of hint.cases || []) {
      if (document.getElementById(`case-${number}`)) rows.add(number);
      else if (listed.has(number) && firstPage()) waiting.add(number);
      else waiting.delete(number);
    }
    if (hint.many && document.getElementById("cases")) lots = true;
    const open = gensvar.open();
    if (open && (hint.many || (hint.cases || []).includes(Number(open.dataset.case)))) thread = true;
    if (hint.counts) { counts = hint.counts; drawCounts(); }
    offerCases();
    soon();
  });

  // The numbers of the navigation; a view whose number is not known has none.
  function drawCounts() {
    if (paused()) return;
    for (const [address, count] of Object.entries(counts)) {
      const number = document.querySelector(`#nav a[href="${CSS.escape(address)}"] .count`);
      if (number && count !== null && number.textContent !== count) number.textContent = count;
    }
  }

  function soon() {
    if (timer || !(thread || (rows.size && !paused()))) return;
    timer = setTimeout(fetchNow, Math.max(100 * Math.random(), asked + PACE - Date.now()));
  }

  async function fetchNow() {
    asked = Date.now();
    try {
      // What one is just doing oneself comes with its own answer: it is no news.
      if (thread && !document.querySelector("#case[aria-busy], #case form[data-sent]")) { thread = false; await refreshThread(); }
      if (rows.size && !paused()) await refreshRows();
    } catch {
      thread = thread || Boolean(gensvar.open()); // live.js says that there is no connection; asked again with the next news
    } finally {
      timer = null;
      if (rows.size || thread) setTimeout(soon, PACE);
    }
  }

  async function ask(address) {
    const answer = await fetch(address, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }

  // -- the list -----------------------------------------------------------------------------------------------------
  async function refreshRows() {
    const numbers = [...rows].slice(0, 50);
    const query = new URLSearchParams(location.search);
    query.delete("case");
    for (const number of numbers) query.append("case", number);
    const told = await (await ask(`/live/rows?${query}`)).json();
    for (const number of numbers) rows.delete(number);
    for (const { case: number, html } of told.rows) {
      const old = document.getElementById(`case-${number}`);
      if (old) replaceRow(old, gensvar.fragment(html).firstElementChild);
    }
  }

  // What is chosen, ticked and focused in the old row is so in the new one.
  function replaceRow(old, fresh) {
    if (Number(fresh.dataset.version) < Number(old.dataset.version)) return;
    const focused = old.contains(document.activeElement) && [...old.querySelectorAll("a, button, input")].indexOf(document.activeElement);
    if (old.hasAttribute("aria-current")) fresh.setAttribute("aria-current", "true");
    const ticked = old.querySelector("input[type=checkbox]")?.checked;
    old.replaceWith(fresh);
    const box = fresh.querySelector("input[type=checkbox]");
    if (box && ticked) box.checked = true;
    htmx.process(fresh);
    document.dispatchEvent(new CustomEvent("gensvar:drawn", { detail: fresh }));
    if (focused !== false) (fresh.querySelectorAll("a, button, input")[focused] || fresh.querySelector("a")).focus({ preventScroll: true });
  }

  async function showCases() {
    const fresh = gensvar.fragment(await (await ask(`/${location.search}`)).text());
    const [cases, old] = [fresh.querySelector("#cases"), document.getElementById("cases")];
    const shown = document.querySelector("#list .pages");
    const ticked = new Set([...old.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value));
    const current = gensvar.currentRow()?.id;
    const first = [...cases.querySelectorAll(".row")].find((row) => !document.getElementById(row.id));
    for (const box of cases.querySelectorAll("input[type=checkbox]")) box.checked = ticked.has(box.value);
    old.replaceWith(cases);
    shown?.replaceWith(...[fresh.querySelector("#list .pages")].filter(Boolean));
    document.getElementById("list-total")?.replaceWith(fresh.querySelector("#list-total"));
    if (current) document.getElementById(current)?.setAttribute("aria-current", "true");
    waiting = new Set();
    rows = new Set();
    lots = false;
    htmx.process(cases);
    document.dispatchEvent(new CustomEvent("gensvar:drawn", { detail: cases }));
    offerCases();
    (first || cases.querySelector(".row"))?.querySelector("a")?.focus();
  }

  // -- the case -----------------------------------------------------------------------------------------------------
  // Whether somebody has chosen or typed something there that is not sent yet.
  const begun = (part) => [...part.querySelectorAll("select, input, textarea")].some((field) =>
    field.options ? [...field.options].some((option) => option.selected !== option.defaultSelected)
      : field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);

  // The thread, and the head and facts of the case, as they are now; null when another case is open by then.
  async function caseNow() {
    const open = gensvar.open();
    if (!open) return null;
    const html = await (await ask(open.dataset.thread)).text();
    return gensvar.open()?.dataset.case === open.dataset.case ? gensvar.fragment(html) : null;
  }

  async function refreshThread() {
    const fresh = await caseNow();
    if (!fresh) return;
    for (const part of fresh.querySelectorAll("[data-moves]")) {
      const old = document.getElementById(part.id);
      if (!old || begun(old)) continue;
      // A heading that has the focus to be read from gives it to the new one; what is being used stays.
      const focused = old.contains(document.activeElement) && document.activeElement;
      if (focused && !(focused.id && focused.matches("[tabindex='-1']"))) continue;
      old.querySelectorAll("details").forEach((fold, at) => { const same = part.querySelectorAll("details")[at]; if (same) same.open = fold.open; });
      if (old.outerHTML === part.outerHTML) continue;
      old.replaceWith(part);
      htmx.process(part);
      document.dispatchEvent(new CustomEvent("gensvar:drawn", { detail: part }));
      if (focused) document.getElementById(focused.id)?.focus({ preventScroll: true });
    }
    messages = [];
    for (const entry of fresh.querySelector(".thread").children) {
      const old = document.getElementById(entry.id);
      if (!old && entry.matches("article")) { messages.push(entry.id); continue; }
      if (!old) { if (!messages.length) document.querySelector("#case .thread").append(entry.cloneNode(true)); continue; } // what was done is no message
      const read = old === document.activeElement; // a message that has the focus to be read gives it to the new one
      if (read) entry.tabIndex = -1;
      if (!read && old.contains(document.activeElement) || begun(old) || old.outerHTML === entry.outerHTML) continue;
      if (entry.dataset.status === "held" && old.dataset.status === "held") continue; // it is being counted down
      const drawn = entry.cloneNode(true);
      old.replaceWith(drawn);
      htmx.process(drawn);
      if (read) drawn.focus({ preventScroll: true });
    }
    gensvar.countDown();
    offer("#case", messages.length);
  }

  async function showMessages() {
    const fresh = (await caseNow())?.querySelector(".thread");
    if (!fresh) return;
    document.querySelector("#case .thread").replaceWith(fresh);
    htmx.process(fresh);
    const version = document.querySelector("#reply-form input[name=version]");
    if (version) version.value = fresh.dataset.version; // now they have been seen
    const first = document.getElementById(messages[0]);
    messages = [];
    offer("#case", 0);
    first?.setAttribute("tabindex", "-1");
    first?.focus();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.news");
    if (button) (button.closest("#case") ? showMessages() : showCases()).catch(() => gensvar.refresh());
  });

  // What is swapped in is of its own moment: what has happened since is asked for. A new list has nothing waiting.
  htmx.onLoad((root) => {
    if (root.id === "case" || root.querySelector("#case")) messages = [];
    const drawn = root.querySelector(".thread")?.dataset.last;
    if (drawn && Number(drawn) < gensvar.last()) { thread = true; soon(); }
    if (root !== document.body && (root.id === "cases" || root.querySelector("#cases"))) {
      waiting = new Set();
      rows = new Set();
      lots = false;
      offerCases();
    }
    pause(root);
  });

  // -- pause --------------------------------------------------------------------------------------------------------
  function pause(root) {
    const box = root.querySelector("#list-live");
    if (!box) return;
    box.checked = !paused();
    document.documentElement.toggleAttribute("data-paused", paused());
  }
  document.addEventListener("change", (event) => {
    if (event.target.id !== "list-live") return;
    localStorage.setItem(PAUSED, event.target.checked ? "no" : "yes");
    pause(document);
    gensvar.announce(event.target.checked ? event.target.dataset.on : event.target.dataset.off);
    document.dispatchEvent(new CustomEvent("gensvar:paused", { detail: paused() }));
    drawCounts();
    offerCases();
    soon();
  });
  // An answer of ours on its way changes without a word of the house: looked at as long as it is on its way.
  setInterval(() => {
    if (document.hidden || !document.querySelector("#case article:is([data-status=held], [data-status=queued], [data-status=calling])")) return;
    thread = true;
    soon();
  }, 2000);
  gensvar.paused = paused;
})();
