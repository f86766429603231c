// The list: which row is the current one.
(() => {
  "use strict";
  const rows = () => [...document.querySelectorAll(".row")];

  function choose(row) {
    for (const other of rows()) if (other !== row) other.removeAttribute("aria-current");
    row.setAttribute("aria-current", "true");
    sessionStorage.setItem("row", row.id);
  }

  gensvar.choose = choose;
  gensvar.currentRow = () => document.querySelector(".row[aria-current]");

  // To the next row (1) or the one before (-1).
  gensvar.step = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.hasAttribute("aria-current"));
    const to = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))];
    choose(to);
    to.querySelector("a").focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".row");
    if (row) choose(row);
  });

  htmx.onLoad((root) => {
    if (!root.querySelector("#cases") || gensvar.currentRow()) return;
    const back = document.getElementById(sessionStorage.getItem("row"));
    if (back?.matches(".row")) back.setAttribute("aria-current", "true");
  });
})();
