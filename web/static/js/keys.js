// Keys: by what they write, never where they lie; none while typing.
(() => {
  "use strict";
  const off = () => gensvar.page.shortcuts === "off";
  const judging = () => document.getElementById("help")?.dataset.judging || "";
  const inRow = () => document.activeElement?.closest?.(".row");

  // What Gensvar makes of a case is corrected by one key: of the case that is open, or of the current row.
  function correct(key) {
    const number = gensvar.open()?.dataset.case || gensvar.currentRow()?.id.replace("case-", "");
    if (number) htmx.ajax("POST", `/cases/${number}/classify`, { values: { key }, target: "#said", swap: "innerHTML" });
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
    j: () => gensvar.step(1), k: () => gensvar.step(-1),
    ArrowDown: () => gensvar.step(1), ArrowUp: () => gensvar.step(-1),
    o: () => gensvar.currentRow()?.querySelector("a").click(),
    u: () => document.getElementById("back")?.click(),
    r: () => document.getElementById("body")?.focus(),
    n: () => { const note = document.getElementById("note"); note?.closest("details").setAttribute("open", ""); note?.focus(); },
    "?": () => document.getElementById("help")?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || off() || document.querySelector("dialog[open]")) return;
    if (event.key.startsWith("Arrow") && !inRow()) return;
    if (actions[event.key]) actions[event.key]();
    else if (event.key.length === 1 && judging().includes(event.key)) correct(event.key);
    else if (!press(event.key)) return;
    event.preventDefault();
  });
})();
