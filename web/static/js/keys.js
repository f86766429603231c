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

  // Into a field by a key; Escape leads back to where one was.
  let came = null;
  function enter(field) {
    came = document.activeElement;
    const about = field.closest("#about");
    if (about && !about.checkVisibility()) document.querySelector("form[data-fold=about]").requestSubmit();
    for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    field.focus();
  }
  function goBack(target) {
    const fold = target.closest("#bulk-panel") || (typing(target) ? null : target.closest("details"));
    const around = target.closest("#case, #list, main");
    const to = came?.isConnected && came !== document.body && came !== target && !fold?.contains(came) ? came
      : fold && !typing(target) && fold.querySelector("summary");
    came = null;
    if (fold) fold.open = false;
    target.blur();
    (to || around?.querySelector(".row[aria-current] a") || around?.querySelector("h1[tabindex]") || around)?.focus({ preventScroll: true });
  }

  // What a part of the page is for is said by its data-action: a button is pressed, a field gets the focus.
  const part = (action) => [...document.querySelectorAll(`[data-action="${CSS.escape(action)}"]`)].find((each) => !each.disabled && !each.closest("[hidden]"));
  function press(action) {
    const found = part(action);
    if (!found) return false;
    if (found.matches("summary")) enter(found.parentElement.querySelector("button, input:not([type=hidden]), select") || found);
    else if (found.matches("button, a")) found.click();
    else enter(found);
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
    const all = [...document.querySelectorAll(".row")];
    const others = (from, to) => all.slice(from, to).filter((each) => !numbers.includes(number(each)));
    const next = others(all.indexOf(row))[0] || others(0).at(-1);
    addEventListener("pagehide", () => { if (next) sessionStorage.setItem("row", next.id); }); // news may come before it
    gensvar.refocus();
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
    enter(found);
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
  // The message in focus, else the last that somebody else wrote: why it is hidden, why it cannot be, or shown again.
  function hiding() {
    const at = document.activeElement?.closest?.(".thread article") || document;
    const found = [...at.querySelectorAll(".hiding")].at(-1);
    if (!found) return false;
    enter(found.querySelector("[name=reason]") || found.querySelector("p, button"));
  }
  function write(id) {
    const field = document.getElementById(id);
    const link = gensvar.currentRow()?.querySelector("a.what");
    if (field) enter(field);
    else if (!gensvar.open() && link) gensvar.openCase(link.href, { focus: id });
    else return false;
  }

  // The charts of the page as tables, all at once; Escape or the same key closes them.
  function tables() {
    const all = [...document.querySelectorAll("summary[data-action=table]")];
    if (!all.length) return false;
    const open = !all[0].parentElement.open;
    for (const each of all) each.parentElement.open = open;
    if (open) enter(all[0]);
    else goBack(all[0]);
  }

  const does = {
    table: tables,
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
    hide: hiding,
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
    if (event.key === "Escape" && !event.defaultPrevented && (typing(event.target) || event.target.closest("details[open]"))) {
      if (event.target.matches("[aria-expanded=true]")) return;
      event.preventDefault(); // a search field would be emptied
      goBack(event.target);
      return;
    }
    const line = event.key === "Enter" && event.target.closest("#bulk .field-line, form:has(select[data-action])");
    if (line && event.target.matches("select, input")) { // does what stands beside the field
      event.preventDefault();
      event.target.form.requestSubmit(line.querySelector("button[type=submit]"));
      return;
    }
    if (typing(event.target)) return;
    if (command && event.key.toLowerCase() === "a" && inList() && gensvar.selectAll) { event.preventDefault(); gensvar.selectAll(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.getModifierState?.("AltGraph")) return;
    if (event.key === "Escape") { does.leave(); return; }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!document.activeElement?.closest?.(".row")) return;
      gensvar.step(event.key === "ArrowDown" ? 1 : -1);
      event.preventDefault();
      return;
    }
    if (event.key.length !== 1 || off()) return;
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

  // Where a page is loaded anew by what was done, the focus goes on: to the case, or to the current row of the list.
  gensvar.refocus = () => sessionStorage.setItem("refocus", "1");
  document.addEventListener("submit", (event) => { if (event.target.closest("#help, #bulk")) gensvar.refocus(); });
  htmx.onLoad(() => {
    if (!sessionStorage.getItem("refocus") || !document.getElementById("list")) return; // a page on the way there
    sessionStorage.removeItem("refocus");
    const seen = (each) => each?.checkVisibility();
    const to = [document.getElementById(location.hash.slice(1)), document.getElementById("case-name"), gensvar.currentRow()?.querySelector("a.what"), document.getElementById("list")];
    if (document.activeElement === document.body) to.find(seen)?.focus();
  });
})();
