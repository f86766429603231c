// What the screens do by themselves: drafts, undo countdown, what is new, keys. Everything works without it, less well.
(() => {
  "use strict";
  const body = document.body;
  const live = body.dataset;
  const POLL = 2000;

  // -- drafts: what is typed stays in this browser until the server has it ------------------------------------------
  const draftKey = (form) => `draft:${live.user}:${location.pathname}:${form.dataset.draft}`;
  const read = (key) => { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } };
  const words = (text) => text.replace(/\s+/g, " ").trim();

  function arrived(form, draft) {
    // A reply is known by its key; a note by its text.
    if (form.dataset.draft === "reply") return document.querySelector(`article[data-key="${CSS.escape(draft.key || "-")}"]`) !== null;
    return [...document.querySelectorAll("article.note .plain")].some((note) => words(note.textContent) === words(draft.text));
  }

  for (const form of document.querySelectorAll("form[data-draft]")) {
    const field = form.querySelector("textarea");
    const saved = form.querySelector(".saved");
    const key = draftKey(form);
    const draft = read(key);
    if (draft && arrived(form, draft)) {
      localStorage.removeItem(key);
    } else if (draft && draft.text && !field.value) {
      field.value = draft.text;
      form.closest("details")?.setAttribute("open", "");
      if (saved) saved.hidden = false;
      if (window.htmx) htmx.trigger(field, "input");
    }
    const keep = () => {
      if (field.value.trim()) localStorage.setItem(key, JSON.stringify({ text: field.value, key: form.elements.key?.value }));
      else localStorage.removeItem(key);
      if (saved) saved.hidden = !field.value.trim();
    };
    let timer;
    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(keep, 400); });
    field.addEventListener("blur", keep);
    document.addEventListener("visibilitychange", () => { if (document.hidden) keep(); });
    form.addEventListener("submit", keep);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit(form.querySelector("button[type=submit]"));
      }
    });
  }

  // A second click sends nothing twice; the server refuses it too.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 5000);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

  document.addEventListener("click", (event) => {
    if (event.target.matches?.("[data-select]")) event.target.select();
    const offered = event.target.closest?.("[data-insert]");
    if (!offered) return;
    event.preventDefault(); // a proposed text goes under what is written already
    const field = offered.form.querySelector("textarea");
    field.value = [field.value.trimEnd(), offered.dataset.insert].filter(Boolean).join("\n\n");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });

  // -- undo countdown -----------------------------------------------------------------------------------------------
  function countDown() {
    for (const part of document.querySelectorAll("[data-until]")) {
      const left = Math.ceil((Date.parse(part.dataset.until) - Date.now() - skew) / 1000);
      part.textContent = left > 0 ? part.dataset.text.replace("{n}", left) : part.dataset.over;
      const undo = part.parentElement.querySelector("form");
      if (undo && left <= 0) undo.hidden = true;
    }
  }
  let skew = 0; // our clock minus the server's, negative when we are behind
  if (document.querySelector("[data-until]")) countDown();
  setInterval(countDown, 500);

  // -- what is new --------------------------------------------------------------------------------------------------
  const trouble = document.getElementById("trouble");
  const news = document.querySelector("button.news");
  const here = () => new Date().toLocaleTimeString(document.documentElement.lang,
    { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: live.zone }); // as the server writes it
  let last = live.last;
  let restarts = live.restarts;
  let seen = here();
  let failures = 0;
  let waiting = new Set();
  let restartedAt = null;

  function say(text, link) {
    if (trouble.dataset.said === text) return;
    trouble.dataset.said = text;
    trouble.textContent = text;
    if (text && link) {
      const a = document.createElement("a");
      a.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      a.textContent = trouble.dataset.login;
      trouble.append(" ", a);
    }
    trouble.hidden = !text;
  }

  function offer(count) {
    if (!news) return;
    news.textContent = count === Infinity ? news.dataset.lots || news.dataset.many : count === 1 ? news.dataset.one : news.dataset.many.replace("{n}", count);
    if (news.hidden && count) document.getElementById("status").textContent = news.textContent;
    news.hidden = !count;
  }

  async function poll() {
    if (document.hidden) return;
    try {
      const query = live.query ? `&${live.query}` : "";
      const answer = await fetch(`${live.live}?after=${last}${query}`, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) { say(trouble.dataset.out, true); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      failures = 0;
      seen = here();
      const dated = Date.parse(answer.headers.get("Date"));
      if (dated) skew = Math.abs(Date.now() - dated) > 2000 ? Date.now() - dated : 0;
      const count = answer.headers.get("X-Restarts");
      if (Number(count) > Number(restarts)) { restartedAt = here(); setTimeout(() => { restartedAt = null; }, 30000); }
      restarts = count;
      if (answer.headers.get("X-Collecting") === "down") say(trouble.dataset.down);
      else if (restartedAt) say(trouble.dataset.restarted.replace("{time}", restartedAt));
      else say("");
      if (answer.status === 200) {
        const told = await answer.json();
        last = told.last;
        if (live.case) await refreshThread(told);
        else refreshList(told);
      } else if (live.case && document.querySelector("article[data-status=held], article[data-status=queued], article[data-status=calling]")) {
        await refreshThread({ cases: [Number(live.case)] });
      }
    } catch {
      failures += 1;
      if (failures > 1) say(trouble.dataset.lost.replace("{time}", seen));
    }
  }

  function fragment(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  function refreshList(told) {
    if (told.many) { offer(Infinity); return; }
    for (const { case: number, html, in: wanted } of told.rows) {
      const old = document.getElementById(`case-${number}`);
      if (!old) { if (wanted) waiting.add(number); else waiting.delete(number); continue; }
      const fresh = fragment(html).firstElementChild;
      const focused = old.contains(document.activeElement);
      if (old.hasAttribute("aria-current")) fresh.setAttribute("aria-current", "true");
      old.replaceWith(fresh);
      if (focused) fresh.querySelector("a").focus({ preventScroll: true });
    }
    offer(waiting.size);
  }

  // Back leads to the list one came from, filtered as it was.
  if (document.getElementById("cases")) sessionStorage.setItem("list", location.pathname + location.search);
  function pointBack(head) {
    const list = sessionStorage.getItem("list");
    if (list) head.querySelector("#back").href = list;
  }
  if (live.case) pointBack(document);

  // Whether somebody has chosen or typed something there that is not sent yet.
  const begun = (part) => [...part.querySelectorAll("select, input, textarea")].some((field) =>
    field.options ? [...field.options].some((option) => option.selected !== option.defaultSelected)
      : field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);

  // The thread, and the head and facts of the case, as they are now; shown at once where nobody is at work.
  const caseNow = async () => {
    const answer = await fetch(live.thread, { headers: { "HX-Request": "true" } });
    return answer.ok ? fragment(await answer.text()) : null;
  };

  async function refreshThread(told) {
    if (!told.many && !told.cases.includes(Number(live.case))) return;
    const fresh = await caseNow();
    if (!fresh) return;
    pointBack(fresh);
    for (const part of fresh.querySelectorAll("[data-moves]")) {
      const old = document.getElementById(part.id);
      if (!old || old.contains(document.activeElement) || begun(old)) continue;
      old.querySelectorAll("details").forEach((fold, at) => { const same = part.querySelectorAll("details")[at]; if (same) same.open = fold.open; });
      if (old.outerHTML === part.outerHTML) continue;
      old.replaceWith(part);
      htmx.process(part);
    }
    waiting = new Set();
    for (const entry of fresh.querySelector(".thread").children) {
      const old = document.getElementById(entry.id);
      if (!old) { waiting.add(entry.id); continue; }
      if (old.contains(document.activeElement) || old.outerHTML === entry.outerHTML) continue;
      if (entry.dataset.status === "held" && old.dataset.status === "held") continue; // it is being counted down
      old.replaceWith(entry.cloneNode(true));
    }
    countDown();
    offer(waiting.size);
  }

  news?.addEventListener("click", async () => {
    if (!live.case) { location.reload(); return; }
    const fresh = (await caseNow())?.querySelector(".thread");
    if (!fresh) return;
    document.querySelector(".thread").replaceWith(fresh);
    const version = document.querySelector("#reply-form input[name=version]");
    if (version) version.value = fresh.dataset.version; // now they have been seen
    const first = document.getElementById([...waiting][0]);
    waiting = new Set();
    offer(0);
    first?.setAttribute("tabindex", "-1");
    first?.focus();
  });

  if (live.live) {
    if (live.collecting === "down") say(trouble.dataset.down);
    setInterval(poll, POLL);
    document.addEventListener("visibilitychange", poll);
  }

  // -- keys: by what they write, never where they lie; none while typing ----------------------------------------------
  const box = document.getElementById("shortcuts");
  const off = () => localStorage.getItem("shortcuts") === "off";
  if (box) {
    box.checked = !off();
    box.addEventListener("change", () => localStorage.setItem("shortcuts", box.checked ? "on" : "off"));
  }
  const rows = () => [...document.querySelectorAll(".row")];
  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.hasAttribute("aria-current"));
    const to = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))];
    all[at]?.removeAttribute("aria-current");
    to.setAttribute("aria-current", "true");
    to.querySelector("a").focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
    sessionStorage.setItem("row", to.id);
  }
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".row");
    if (!row) return;
    for (const other of rows()) if (other !== row) other.removeAttribute("aria-current");
    row.setAttribute("aria-current", "true");
    sessionStorage.setItem("row", row.id);
  });
  const back = document.getElementById(sessionStorage.getItem("row"));
  if (back?.matches(".row")) back.setAttribute("aria-current", "true");

  // What Gensvar makes of a case is corrected by one key: of the case that is open, or of the current row.
  const judging = document.getElementById("help")?.dataset.judging || "";
  function correct(key) {
    const number = live.case || document.querySelector(".row[aria-current]")?.id.replace("case-", "");
    if (number) htmx.ajax("POST", `/cases/${number}/classify`, { values: { key }, target: "#said", swap: "innerHTML" });
  }
  const said = document.getElementById("said");
  let fading;
  function fade() { // not from under a hand or a focus that is on its way to undo
    if (said.matches(":hover, :focus-within")) fading = setTimeout(fade, 5000);
    else said.replaceChildren();
  }
  function toast() {
    said.classList.add("toast");
    clearTimeout(fading);
    fading = setTimeout(fade, 20000);
  }
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "said") return;
    toast();
    poll();
  });
  for (const failure of ["htmx:responseError", "htmx:sendError"]) {
    document.addEventListener(failure, (event) => {
      if (event.detail.target.id !== "said") return;
      said.textContent = document.getElementById("help").dataset.failed;
      toast();
    });
  }
  // Elsewhere on the page a part may name the key that presses its button, or leads to its field.
  function press(key) {
    const part = document.querySelector(`[data-shortcut="${CSS.escape(key)}"]`);
    if (!part) return false;
    if (part.matches("button, a, summary")) part.click();
    else part.focus();
    return true;
  }

  const actions = {
    j: () => step(1), k: () => step(-1), ArrowDown: () => rows().length && step(1), ArrowUp: () => rows().length && step(-1),
    o: () => document.querySelector(".row[aria-current] a")?.click(),
    u: () => live.case && document.getElementById("back").click(),
    r: () => document.getElementById("body")?.focus(),
    n: () => { const note = document.getElementById("note"); note?.closest("details").setAttribute("open", ""); note?.focus(); },
    "?": () => document.getElementById("help")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || off() || document.querySelector("dialog[open]")) return;
    const action = actions[event.key];
    if (event.key.startsWith("Arrow") && !document.activeElement?.closest?.(".row")) return;
    if (action) action();
    else if (event.key.length === 1 && judging.includes(event.key)) correct(event.key);
    else if (!press(event.key)) return;
    event.preventDefault();
  });
})();
