// Keys: by what they write, never where they lie; none while typing. Which key does what stands in the help (#help).
(() => {
  "use strict";
  const off = () => gensvar.page.shortcuts === "off";
  const typing = (part) => part?.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  const dialog = () => document.querySelector("dialog[open]");
  const inList = () => document.activeElement?.closest?.("#list");
  const byKey = new Map();
  for (const each of document.querySelectorAll("#help [data-does]"))
    for (const key of each.dataset.keys.split("\n")) if (key) byKey.set(key, each);

  // What a part of the page is for is said by its data-action: a button is pressed, a field gets the focus.
  const part = (action) => [...document.querySelectorAll(`[data-action="${CSS.escape(action)}"]`)].find((each) => !each.disabled);
  function press(action) {
    const found = part(action);
    if (!found) return false;
    for (let fold = found.parentElement?.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
    if (found.closest("#about")) gensvar.unfold?.("about");
    if (found.matches("summary")) { found.parentElement.open = true; found.parentElement.querySelector("button, input, select")?.focus(); }
    else if (found.matches("button, a")) found.click();
    else found.focus();
    return true;
  }

  const number = (row) => row?.id.replace("case-", "");
  const subject = () => gensvar.open()?.dataset.case || number(gensvar.currentRow());

  // In a list: an action on what is selected, else on the current row; afterwards the row after it is the current one.
  function act(action) {
    const chosen = gensvar.selected?.() || [];
    const row = gensvar.currentRow();
    const numbers = chosen.length ? chosen : row ? [number(row)] : [];
    const panel = document.getElementById("bulk");
    if (!numbers.length || !panel) return false;
    let next = row;
    while (next && numbers.includes(number(next))) next = next.nextElementSibling;
    if (next) sessionStorage.setItem("row", next.id);
    sessionStorage.setItem("refocus", "1");
    const form = document.createElement("form");
    form.method = "post";
    form.action = panel.getAttribute("action"); // it has fields of that name
    const add = (name, value) => form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    numbers.forEach((each) => add("case", each));
    add("action", action);
    add("back", panel.querySelector("[name=back]").value);
    document.body.append(form);
    form.submit();
    return true;
  }

  // A choice is made in the panel for several cases, which then holds the current row at least.
  function choose(field) {
    const found = document.getElementById(field);
    if (!found) return false;
    if (!gensvar.selected().length && gensvar.currentRow()) gensvar.selectRow(gensvar.currentRow(), true);
    found.closest("details").open = true;
    found.focus();
    return true;
  }

  const here = (inCase, inTheList) => () => (gensvar.open() ? press(inCase) : inTheList());
  function extend(by) {
    if (gensvar.currentRow()) gensvar.selectRow(gensvar.currentRow(), true);
    gensvar.step(by);
    if (gensvar.currentRow()) gensvar.selectRow(gensvar.currentRow(), true);
  }
  function message(by) {
    const all = [...document.querySelectorAll(".thread article")];
    if (!all.length) return false;
    const at = all.indexOf(document.activeElement?.closest?.(".thread article"));
    const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
    all[to].setAttribute("tabindex", "-1");
    all[to].focus();
    all[to].scrollIntoView({ block: "nearest" });
  }
  function write(id) {
    const field = document.getElementById(id);
    if (!field) { if (!gensvar.open()) gensvar.currentRow()?.querySelector("a").click(); return; }
    field.closest("details")?.setAttribute("open", "");
    field.focus();
  }

  const does = {
    next: () => gensvar.step(1),
    previous: () => gensvar.step(-1),
    open: () => gensvar.currentRow()?.querySelector("a").click(),
    back: () => document.getElementById("back")?.click(),
    select: () => gensvar.currentRow() && gensvar.selectRow(gensvar.currentRow()),
    extend: () => extend(1),
    "extend-back": () => extend(-1),
    search: () => document.getElementById("q")?.focus(),
    reply: () => write("body"),
    note: () => write("note"),
    assign: here("assign", () => choose("bulk-assign")),
    take: here("take", () => act("assign:me")),
    resolve: here("resolved", () => act("status:resolved")),
    "resolve-next": here("next", () => act("status:resolved")),
    snooze: here("snooze", () => choose("bulk-snooze")),
    tag: here("tag", () => choose("bulk-tag")),
    priority: here("priority", () => choose("bulk-priority")),
    mute: here("mute", () => act("follow:mute")),
    ignore: here("ignored", () => act("status:ignored")),
    "newer-message": () => message(1),
    "older-message": () => message(-1),
    undo: () => { if (!press("undo")) htmx.ajax("POST", "/undo", { target: "#said", swap: "innerHTML" }); },
    more: () => gensvar.palette(),
    palette: () => gensvar.palette(),
    help: () => document.getElementById("help").showModal(),
    leave: () => (gensvar.open() ? document.getElementById("back")?.click() : document.getElementById("list")?.focus()),
    "select-all": () => gensvar.selectAll(),
  };

  // Does what an entry of the help says; false when there is nothing here to do it with.
  gensvar.does = (entry) => {
    const { does: name, judge, goes } = entry.dataset;
    if (goes) { location.href = goes; return true; }
    if (judge) {
      if (!subject() || !document.getElementById("said")) return false;
      htmx.ajax("POST", `/cases/${subject()}/classify`, { values: { key: judge }, target: "#said", swap: "innerHTML" });
      return true;
    }
    return does[name] ? does[name]() !== false : press(name);
  };

  let begun = null; // the first of two keys
  document.addEventListener("keydown", (event) => {
    const command = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (command && event.key.toLowerCase() === "k" && !event.isComposing) {
      event.preventDefault();
      if (!dialog()) gensvar.palette();
      return;
    }
    if (event.isComposing || dialog()) return;
    if (event.key === "Escape" && typing(event.target)) { // out of the field, to the part it stands in; nothing is lost
      if (event.target.matches("[aria-expanded=true]") || event.defaultPrevented) return;
      const around = event.target.closest("#case, #list, main");
      event.target.blur();
      (around?.querySelector(".row[aria-current] a") || around?.querySelector("h1[tabindex]") || around)?.focus({ preventScroll: true });
      return;
    }
    if (typing(event.target)) return;
    if (command && event.key.toLowerCase() === "a" && inList() && gensvar.selectAll) { event.preventDefault(); gensvar.selectAll(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.getModifierState?.("AltGraph") || off()) return;
    if (event.key === "Escape") { does.leave(); return; }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!document.activeElement?.closest?.(".row")) return;
      gensvar.step(event.key === "ArrowDown" ? 1 : -1);
      event.preventDefault();
      return;
    }
    if (event.key.length !== 1) return;
    const pressed = begun ? `${begun} ${event.key}` : event.key;
    clearTimeout(gensvar.waits);
    begun = null;
    const entry = byKey.get(pressed);
    if (entry) {
      if (gensvar.does(entry)) event.preventDefault();
    } else if (event.key === "g" && [...byKey.keys()].some((key) => key.startsWith("g "))) {
      begun = "g";
      gensvar.waits = setTimeout(() => { begun = null; }, 1500);
    }
  });

  // After an action on rows the row after them is the current one, and has the focus.
  htmx.onLoad(() => {
    if (!sessionStorage.getItem("refocus")) return;
    sessionStorage.removeItem("refocus");
    (gensvar.currentRow()?.querySelector("a") || document.getElementById("list"))?.focus({ preventScroll: true });
  });
})();
