// Canned replies by typing: "/" at the beginning of a line opens a list that what is typed behind it narrows down.
(() => {
  "use strict";
  const MOST = 8; // shown at once
  const known = new Map(); // address -> the canned replies behind it
  let open = null; // {field, list, from, at, found, byButton}

  async function all(address) {
    if (!known.has(address)) {
      const answer = await fetch(address, { headers: { "HX-Request": "true" } });
      if (!answer.ok) return [];
      known.set(address, (await answer.json()).canned);
    }
    return known.get(address);
  }

  const begins = (each, asked) => each.name.toLocaleLowerCase().split(/[\s\-_/]+/).some((word) => word.startsWith(asked[0]));

  // Every word asked for, in the name or the text; those named so first.
  function fitting(canned, asked) {
    const wanted = asked.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    if (!wanted.length) return canned;
    const fit = canned.filter((each) => wanted.every((word) => `${each.name} ${each.text}`.toLocaleLowerCase().includes(word)));
    return [...fit.filter((each) => begins(each, wanted)), ...fit.filter((each) => !begins(each, wanted))];
  }

  function asked(field) {
    const before = field.value.slice(0, field.selectionStart);
    const line = before.slice(before.lastIndexOf("\n") + 1);
    return line.startsWith("/") && field.selectionStart === field.selectionEnd ? line.slice(1) : null;
  }

  function close() {
    if (!open) return;
    open.list.remove();
    open.field.removeAttribute("aria-activedescendant");
    open.field.removeAttribute("aria-controls");
    open = null;
  }

  async function look(field, byButton = false) {
    const wanted = asked(field);
    if (wanted === null || wanted.length > 60) { close(); return; }
    const canned = await all(field.dataset.canned);
    if (asked(field) !== wanted) return; // something else was typed meanwhile
    const found = fitting(canned, wanted).slice(0, MOST);
    if (!found.length && !open) return; // an address or a signature is no question
    const start = field.selectionStart - wanted.length - 1;
    const before = open?.from === start ? open : null;
    // Nobody's signature turns into an answer: only what is plainly meant by its name is chosen beforehand.
    const mine = (field.form.dataset.signature || "").toLocaleLowerCase().startsWith(`/${wanted.toLocaleLowerCase()}`);
    const chosen = wanted.trim() && !mine && found.length && begins(found[0], wanted.toLocaleLowerCase().trim().split(/\s+/)) ? 0 : -1;
    const list = before?.list || document.createElement("ul");
    if (!before) {
      close();
      list.id = "canned-list";
      list.className = "canned-list";
      list.setAttribute("role", "listbox");
      list.setAttribute("aria-label", field.dataset.list);
      field.after(list);
      field.setAttribute("aria-controls", list.id);
    }
    open = { field, list, from: start, at: chosen, found, byButton: before?.byButton || byButton };
    draw();
    gensvar.announce(found.length ? field.dataset.offered.replace("{n}", found.length) : field.dataset.none);
  }

  function draw() {
    const { list, found, at, field } = open;
    list.replaceChildren(...found.map((each, number) => {
      const option = document.createElement("li");
      option.id = `canned-${number}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(number === at));
      const name = document.createElement("strong");
      name.textContent = each.name;
      const text = document.createElement("span");
      text.textContent = ` ${each.language} · ${each.text}`;
      option.append(name, text);
      return option;
    }));
    if (!found.length) {
      const none = document.createElement("li");
      none.setAttribute("role", "option");
      none.setAttribute("aria-disabled", "true");
      none.setAttribute("aria-selected", "false");
      none.textContent = field.dataset.none;
      list.append(none);
    }
    if (at >= 0) field.setAttribute("aria-activedescendant", `canned-${at}`);
    else field.removeAttribute("aria-activedescendant");
    list.scrollIntoView({ block: "nearest" });
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  function take(number) {
    const { field, from, found } = open;
    close();
    gensvar.insert(field, found[number].text, from, field.selectionStart);
  }

  document.addEventListener("keydown", (event) => {
    if (!open || event.target !== open.field || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const { found, at, field, from, byButton } = open;
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && found.length) {
      open.at = event.key === "ArrowDown" ? (at + 1) % found.length : (at + found.length - (at < 0 ? 0 : 1)) % found.length;
      draw();
    } else if (event.key === "Enter" && at >= 0) take(at);
    else if (event.key === "Escape") {
      close();
      if (byButton && asked(field) === "") gensvar.insert(field, "", from, from + 1); // as it was
      field.dataset.shut = String(from);
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.dataset?.canned) return;
    const wanted = asked(field);
    if (wanted === null || wanted === "") delete field.dataset.shut; // a new line, a new question
    else if (field.dataset.shut) return;
    look(field);
  });
  document.addEventListener("selectionchange", () => { if (open && asked(open.field) === null) close(); });
  document.addEventListener("focusout", (event) => { if (open && event.target === open.field) setTimeout(() => { if (open && document.activeElement !== open.field) close(); }, 150); });
  document.addEventListener("mousedown", (event) => { // before the field loses the focus
    const option = event.target.closest?.(".canned-list [role=option]:not([aria-disabled])");
    if (!option || !open) return;
    event.preventDefault();
    take([...option.parentElement.children].indexOf(option));
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-open-canned]");
    if (!button) return;
    const field = button.form.querySelector("textarea");
    field.focus();
    if (asked(field) === null) {
      const before = field.value.slice(0, field.selectionStart);
      gensvar.insert(field, before && !before.endsWith("\n") ? "\n/" : "/", field.selectionStart, field.selectionStart);
    }
    delete field.dataset.shut;
    look(field, true);
  });

  htmx.onLoad((root) => {
    for (const part of root.querySelectorAll("[data-open-canned], .scripted")) part.hidden = false;
    for (const part of root.querySelectorAll(".plainly")) part.hidden = true; // for browsers without scripts
  });
})();
