// Selecting several cases: how many, all that are shown, a stretch with Shift; kept while the list is drawn anew.
(() => {
  "use strict";
  const chosen = new Set();
  let anchor = null;
  const panel = () => document.getElementById("bulk-panel");
  const boxes = () => [...document.querySelectorAll(".row .select")];

  function tell(spoken) {
    const part = panel();
    if (!part) return;
    const all = part.querySelector("[name=all]").checked;
    const count = part.querySelector("#bulk-count");
    const { one, many } = part.dataset;
    const words = all ? part.querySelector("[name=all]").closest("label").textContent.trim()
      : chosen.size === 1 ? one : chosen.size ? many.replace("{n}", chosen.size) : count.dataset.none;
    if (count.textContent !== words && spoken) gensvar.announce(words);
    count.textContent = words;
  }

  function choose(box, on) {
    box.checked = on;
    if (on) chosen.add(box.value); else chosen.delete(box.value);
    box.closest(".row").toggleAttribute("data-selected", on);
  }

  // For the keys: selects a row or not, and says what it has come to.
  gensvar.selectRow = (row, on = !row.querySelector(".select").checked) => {
    const box = row.querySelector(".select");
    if (box) { choose(box, on); anchor = box; tell(true); }
  };
  gensvar.selectAll = (on = true) => { boxes().forEach((box) => choose(box, on)); tell(true); };
  gensvar.selected = () => [...chosen];

  document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".row .select");
    if (box) {
      const all = boxes();
      const [from, to] = [all.indexOf(anchor), all.indexOf(box)].sort((a, b) => a - b);
      if (event.shiftKey && from >= 0) all.slice(from, to + 1).forEach((each) => choose(each, box.checked));
      choose(box, box.checked);
      anchor = box;
      tell(true);
    } else if (event.target.closest?.("[data-select-shown]")) gensvar.selectAll();
    else if (event.target.closest?.("[data-select-none]")) { panel().querySelector("[name=all]").checked = false; gensvar.selectAll(false); chosen.clear(); tell(); }
  });
  document.addEventListener("change", (event) => { if (event.target.matches?.("#bulk [name=all]")) tell(true); });

  // A row that is drawn anew stays selected; one that is gone is not.
  function renew() {
    for (const box of boxes()) if (chosen.has(box.value) !== box.checked) choose(box, chosen.has(box.value));
    for (const number of chosen) if (!document.getElementById(`case-${number}`)) chosen.delete(number);
    tell();
  }
  let watched = null;
  const watcher = new MutationObserver(renew);
  htmx.onLoad(() => {
    const list = document.getElementById("cases");
    if (!list || list === watched) return;
    watched = list;
    chosen.clear();
    boxes().filter((box) => box.checked).forEach((box) => choose(box, true)); // the browser kept them on the way back
    watcher.disconnect();
    watcher.observe(list, { childList: true, subtree: true });
    for (const button of document.querySelectorAll("[data-select-shown], [data-select-none]")) button.hidden = false;
    tell();
  });
})();
