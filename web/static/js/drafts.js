// What is typed is kept: on the server a moment later, and in this browser until the server has it.
(() => {
  "use strict";
  const IDLE = 1000; // after typing stops
  const AT_LEAST = 10000; // while it does not stop
  const AGAIN = 5000; // after the line was lost
  const open = new Set(); // the drafts on the page
  const settled = new WeakSet(); // forms whose time to be sent has come
  const PREFIX = `draft:${gensvar.page.user}:`;

  const read = (key) => { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } };
  const write = (key, value) => { try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* full or forbidden: the server has it soon */ } };
  const words = (text) => text.replace(/\s+/g, " ").trim();

  function draft(form) {
    const field = form.querySelector("textarea");
    const { draft: version, key: reply } = form.elements;
    const said = form.querySelector(".saved");
    const panel = form.querySelector(".other");
    const key = `${PREFIX}${form.dataset.caseNumber}:${form.dataset.draft}`;
    const signature = form.dataset.signature || "";
    const blank = (text) => { const rest = text.trimEnd(); return !(signature && rest.endsWith(signature) ? rest.slice(0, -signature.length) : rest).trim(); };
    let kept = field.defaultValue; // as the server has it
    let timer, since, busy = null, leaving = false, gone = false, asks = false;

    const changed = () => field.value !== kept && !(blank(field.value) && blank(kept));
    const tell = (text) => { if (said) said.textContent = text; };

    function keepHere() {
      if (gone) return;
      if (changed()) write(key, { text: field.value, version: Number(version.value), key: reply?.value });
      else localStorage.removeItem(key);
    }

    // The answer and its note of one case: each has a place of its own on the server, with a version.
    async function save(last = false) {
      clearTimeout(timer);
      if (gone || leaving || asks) return;
      if (!changed()) { if (!said?.dataset.failed) return; }
      if (busy && !last) { timer = setTimeout(save, 200); return; }
      const text = field.value;
      const body = new FormData(form);
      body.set("body", text);
      const request = fetch(form.dataset.keep, {
        method: "POST", body: new URLSearchParams(body), headers: { "HX-Request": "true" }, keepalive: last, redirect: "error",
        ...(last ? {} : { signal: AbortSignal.timeout(10000) }),
      });
      busy = request.then((answer) => heard(answer, text), () => lost(said.dataset.local)).finally(() => { busy = null; });
      await busy;
    }

    async function heard(answer, text) {
      if (answer.status === 401) { gensvar.refused(); lost(said.dataset.out, 3 * AGAIN); return; }
      if (answer.status === 409) { offer(await answer.json()); return; }
      if (!answer.ok) { lost(said.dataset.local, 3 * AGAIN); return; }
      const told = await answer.json();
      version.value = told.version;
      kept = text;
      since = null;
      delete said.dataset.failed;
      tell(told.said);
      keepHere();
      if (changed()) soon();
    }

    function lost(why, wait = AGAIN) {
      keepHere();
      if (said.dataset.failed !== why) gensvar.announce(why);
      said.dataset.failed = why;
      tell(why);
      clearTimeout(timer);
      timer = setTimeout(save, wait);
    }

    function soon() {
      clearTimeout(timer);
      since ??= Date.now();
      timer = setTimeout(save, Math.max(0, Math.min(IDLE, since + AT_LEAST - Date.now())));
    }

    // Another text of the same person: shown beside, until they say what becomes of it.
    function offer(other) {
      version.value = other.version;
      const text = other.body || "";
      if (text === field.value) { kept = text; keepHere(); return; }
      keepHere();
      asks = text !== "";
      const why = asks ? panel.dataset[other.why || "window"].replace("{time}", other.at || "") : panel.dataset.gone;
      panel.querySelector("p").textContent = why;
      panel.querySelector("blockquote").textContent = text;
      panel.querySelector("blockquote").hidden = !asks;
      panel.querySelector(".line").hidden = false;
      for (const button of panel.querySelectorAll("[data-other]")) button.hidden = !asks && button.dataset.other !== "drop";
      panel.hidden = false;
      kept = asks && !other.why ? text : "";
      gensvar.announce(why);
      if (!asks) soon();
    }

    panel.addEventListener("click", (event) => {
      const choice = event.target.closest("[data-other]")?.dataset.other;
      if (!choice) return;
      const other = panel.querySelector("blockquote").textContent;
      if (choice === "take") field.value = other;
      if (choice === "join") field.value = `${field.value.trimEnd()}\n\n${other}`;
      panel.hidden = true;
      asks = false;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
      save();
    });

    // What a script put there, a person typed, or somebody wants to keep before leaving.
    field.addEventListener("input", () => { keepHere(); soon(); });
    field.addEventListener("blur", () => save());
    form.addEventListener("change", (event) => { if (event.target !== field && !blank(field.value)) { kept = null; save(); } });

    const it = {
      form, key,
      flush(last) { keepHere(); if (!leaving && changed() && !asks) save(last); },
      retry() { if (said?.dataset.failed) save(); },
      // Nothing may arrive after the answer has been sent: it would be there again as a draft.
      before() { clearTimeout(timer); keepHere(); return busy; },
      // What is not on the server yet goes there before the page is drawn anew by what is done in the case.
      settle() { return !leaving && !asks && changed() ? Promise.race([busy ? busy.then(() => save()) : save(), new Promise((done) => setTimeout(done, 3000))]) : null; },
      leave() { leaving = true; },
      stay() { leaving = false; },
      end() { clearTimeout(timer); this.flush(true); gone = true; open.delete(this); },
    };
    open.add(it);

    // -- what this browser still holds
    const here = read(key);
    if (panel && !panel.hidden) { asks = true; panel.querySelector(".line").hidden = false; }
    if (!here) return;
    const arrived = form.dataset.draft === "reply"
      ? document.querySelector(`article[data-key="${CSS.escape(here.key || "-")}"]`)
      : [...document.querySelectorAll("article.note .plain")].some((note) => words(note.textContent) === words(here.text));
    if (arrived || here.text === field.value) { localStorage.removeItem(key); return; }
    form.closest("details")?.setAttribute("open", "");
    if (here.version === Number(version.value) || blank(field.value) || here.text.startsWith(field.value)) {
      field.value = here.text;
      tell(said.dataset.local);
      htmx.trigger(field, "input");
      save();
    } else offer({ body: here.text, version: version.value, why: "browser" });
  }

  const all = (what, ...values) => { for (const it of [...open]) it[what](...values); };
  window.addEventListener("online", () => all("retry"));
  window.addEventListener("focus", () => all("retry"));
  window.addEventListener("pagehide", () => all("flush", true));
  window.addEventListener("pageshow", () => all("stay"));
  document.addEventListener("visibilitychange", () => all(document.hidden ? "flush" : "retry", true));
  document.addEventListener("htmx:beforeCleanupElement", (event) => { // a pane gives way to another case
    for (const it of [...open]) if (event.target.contains(it.form)) it.end();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || !form.closest("#case") || settled.delete(form)) return;
    const it = [...open].find((each) => each.form === form);
    const first = [it?.before(), ...[...open].map((each) => each !== it && each.settle())].filter(Boolean);
    if (first.length) {
      event.preventDefault();
      event.stopImmediatePropagation();
      Promise.allSettled(first).then(() => {
        if (!form.isConnected) return;
        if (!it) settled.add(form); // once is enough; an answer itself waits until nothing is under way
        form.requestSubmit(event.submitter);
      });
      return;
    }
    it?.leave();
  }, true);
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout", "htmx:sendAbort"]) {
    document.addEventListener(failure, () => all("stay")); // it was not sent after all
  }

  // What another page left behind here when the line was lost: it goes to the server as soon as that answers.
  async function deliver() {
    for (const key of Object.keys(localStorage).filter((each) => each.startsWith(PREFIX))) {
      const here = read(key);
      const [number, kind] = key.slice(PREFIX.length).split(":");
      if (!here || [...open].some((it) => it.key === key)) continue;
      const body = new URLSearchParams({ kind, body: here.text, draft: here.version, key: here.key || "" });
      const answer = await fetch(`/cases/${number}/draft`, { method: "POST", body, headers: { "HX-Request": "true" } }).catch(() => null);
      if (!answer || (!answer.ok && answer.status !== 409)) return; // another time
      const told = await answer.json();
      if (answer.ok) localStorage.removeItem(key);
      else if (String(told.case) !== number && !localStorage.getItem(`${PREFIX}${told.case}:${kind}`)) { // it has been merged
        write(`${PREFIX}${told.case}:${kind}`, here);
        localStorage.removeItem(key);
      }
    }
  }
  if (gensvar.page.user) setTimeout(deliver, 2000);
  window.addEventListener("online", deliver);

  htmx.onLoad((root) => {
    for (const form of root.querySelectorAll("form[data-draft]")) draft(form);
    for (const button of root.querySelectorAll("button.keep")) button.hidden = true; // it happens by itself
  });
})();
