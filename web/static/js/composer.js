// Writing: drafts, the key that sends, proposed texts, and the countdown of undo.
(() => {
  "use strict";
  const read = (key) => { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } };
  const words = (text) => text.replace(/\s+/g, " ").trim();

  // -- drafts: what is typed stays in this browser until the server has it ------------------------------------------
  const draftKey = (form) => `draft:${gensvar.page.user}:${location.pathname}:${form.dataset.draft}`;

  function arrived(form, draft) {
    // A reply is known by its key; a note by its text.
    if (form.dataset.draft === "reply") return document.querySelector(`article[data-key="${CSS.escape(draft.key || "-")}"]`) !== null;
    return [...document.querySelectorAll("article.note .plain")].some((note) => words(note.textContent) === words(draft.text));
  }

  function keepDraft(form) {
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
      htmx.trigger(field, "input");
    }
    const keep = () => {
      if (!form.isConnected) return;
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
  gensvar.countDown = () => {
    for (const part of document.querySelectorAll("[data-until]")) {
      const left = Math.ceil((Date.parse(part.dataset.until) - Date.now() - gensvar.skew) / 1000);
      part.textContent = left > 0 ? part.dataset.text.replace("{n}", left) : part.dataset.over;
      const undo = part.parentElement.querySelector("form");
      if (undo && left <= 0) undo.hidden = true;
    }
  };
  setInterval(gensvar.countDown, 500);

  htmx.onLoad((root) => {
    for (const form of root.querySelectorAll("form[data-draft]")) keepDraft(form);
    gensvar.countDown();
  });
})();
