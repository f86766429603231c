// Writing: the key that sends, what is answered and quoted, proposed texts, and the countdown of undo.
(() => {
  "use strict";
  const grows = CSS.supports("field-sizing", "content");

  // The text as a person would type it: the caret stands behind it, undo takes it back, and all who listen hear of it.
  gensvar.insert = (field, text, from = field.selectionStart, to = field.selectionEnd) => {
    field.focus();
    field.setSelectionRange(from, to);
    if (document.execCommand?.("insertText", false, text)) return;
    field.setRangeText(text, from, to, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // Where what is written ends and the signature begins.
  const end = (field) => {
    const signature = field.form.dataset.signature || "";
    const text = field.value.trimEnd();
    return signature && text.endsWith(signature) ? text.slice(0, -signature.length).trimEnd().length : text.length;
  };

  function under(field, text) {
    const at = end(field);
    gensvar.insert(field, at ? `\n\n${text}` : text, at, at);
  }

  function answer(link) {
    const form = document.getElementById("reply-form");
    const field = form?.querySelector("textarea");
    if (!field) return false;
    const to = form.elements.to_mention;
    if (to.value !== link.dataset.answer) {
      to.value = link.dataset.answer;
      to.dispatchEvent(new Event("change", { bubbles: true }));
    }
    if ("quote" in link.dataset) {
      const article = link.closest("article");
      const chosen = getSelection();
      const some = chosen && !chosen.isCollapsed && article.querySelector(".said").contains(chosen.anchorNode) ? String(chosen) : "";
      const whole = article.querySelector(".said details :not(summary)") || article.querySelector(".said");
      const text = (some || whole.innerText).trim();
      under(field, `${text.split("\n").map((line) => `> ${line}`.trimEnd()).join("\n")}\n\n`);
    } else {
      field.focus();
      field.setSelectionRange(end(field), end(field));
    }
    return true;
  }

  document.addEventListener("click", (event) => {
    const { target } = event;
    if (target.matches?.("[data-select]")) target.select();
    const noting = target.closest?.(".noting > summary")?.parentElement; // event.detail: a pointer, not a key
    if (noting && event.detail && !noting.open) setTimeout(() => noting.querySelector("textarea").focus());
    const link = target.closest?.("a[data-answer]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && answer(link)) event.preventDefault();
    const offered = target.closest?.("[data-insert]");
    if (!offered) return;
    event.preventDefault(); // a proposed text goes under what is written already
    under(offered.form.querySelector("textarea"), offered.dataset.insert);
  });

  document.addEventListener("keydown", (event) => {
    const form = event.target.closest?.("form.write");
    if (!form || event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing || event.defaultPrevented) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector("[data-main]"));
  });

  function grow(field) {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  }
  if (!grows) document.addEventListener("input", (event) => { if (event.target.matches?.(".write textarea")) grow(event.target); });

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
    for (const field of root.querySelectorAll(".write textarea")) {
      field.setSelectionRange(end(field), end(field)); // one goes on behind what is written, above the signature
      if (!grows) grow(field);
    }
    gensvar.countDown();
  });
})();
