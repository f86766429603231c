// The case beside the list: opened, worked on and left in place, with addresses and a history that work.
(() => {
  "use strict";
  const wide = matchMedia("(min-width: 56.25rem)");
  const pane = () => document.getElementById("case");
  const list = () => document.getElementById("list");
  const rowOf = (number) => document.getElementById(`case-${number}`);
  const isCase = (url) => url.origin === location.origin && /^\/cases\/\d+$/.test(url.pathname);
  let shown = location.pathname + location.search; // the address this page shows
  let coming = null; // how the case asked for was asked for
  let anchor = null; // the row that stays where it is, and where that is

  const filters = (query) => [...new URLSearchParams(query)].filter(([name, value]) => value && !gensvar.own.includes(name)).map(String).sort().join("&");
  const sameList = () => filters(location.search) === filters(gensvar.page.query);

  function hold(row) { anchor = row && { row, top: row.getBoundingClientRect().top }; }
  function keepStill() {
    if (anchor?.row.isConnected && list()) list().scrollTop += anchor.row.getBoundingClientRect().top - anchor.top;
    anchor = null;
  }

  function go(address, push) {
    if (push && address !== location.pathname + location.search) history.pushState(null, "", address);
    shown = location.pathname + location.search;
  }

  function markOpen(number) {
    for (const row of document.querySelectorAll(".row[data-open]")) if (row.id !== `case-${number}`) row.removeAttribute("data-open");
    const row = rowOf(number);
    if (!row) return;
    row.dataset.open = "";
    row.classList.remove("unread");
    row.querySelector(".unread-mark")?.remove();
    gensvar.choose?.(row);
  }

  // Opens a case in its pane. `back`: the history has been there already.
  gensvar.openCase = (address, { back = false, focus = "case-name" } = {}) => {
    if (!wide.matches) { gensvar.refocus(); location.assign(focus === "case-name" ? address : `${address}#${focus}`); return; }
    htmx.trigger(pane(), "htmx:abort"); // whoever was asked for before is no longer wanted
    coming = { address, back, focus };
    const number = new URL(address, location.href).pathname.split("/").pop();
    if (pane().hidden) hold(rowOf(number));
    pane().setAttribute("aria-busy", "true");
    htmx.ajax("GET", address, { source: pane(), target: "#case", swap: "outerHTML settle:0ms" });
  };

  // Back to the list alone.
  gensvar.closeCase = ({ back = false } = {}) => {
    const open = pane()?.dataset.case;
    if (!open) return;
    const href = document.getElementById("back").href;
    const row = rowOf(open);
    hold(row);
    const empty = document.createElement("section");
    empty.id = "case";
    empty.hidden = true;
    htmx.trigger(pane(), "htmx:beforeCleanupElement"); // as when htmx swaps it: drafts in it come to their end
    pane().replaceWith(empty);
    markOpen(null);
    document.title = gensvar.page.title || document.title;
    if (!back) go(new URL(href).pathname + new URL(href).search, true);
    else shown = location.pathname + location.search;
    keepStill();
    (row?.querySelector("a.what") || list())?.focus({ preventScroll: true });
  };

  function arrived(root) {
    const was = coming;
    coming = null;
    sessionStorage.removeItem("refocus");
    markOpen(root.dataset.case);
    keepStill();
    const row = rowOf(root.dataset.case);
    if (wide.matches) row?.scrollIntoView({ block: "nearest" });
    const goal = document.getElementById(root.dataset.focus || "");
    readFrom(root, goal);
    const same = was?.form && [...root.querySelectorAll(`form[action="${CSS.escape(was.form)}"] button`)].find((button) => button.value === was.value);
    const to = goal || (was?.next && wide.matches && row?.querySelector("a.what")) || same || document.getElementById(was?.focus) || document.getElementById("case-name");
    if (!to) return;
    to.closest("details")?.setAttribute("open", "");
    if (!to.matches("a, button, input, textarea, select, summary, [tabindex]")) to.tabIndex = -1;
    to.focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
  }

  // The first message one has not seen; where all are known, the latest.
  function readFrom(root, goal) {
    const [reading] = [".reading", ".talk"].map((part) => root.querySelector(part)).filter((part) => /auto|scroll/.test(getComputedStyle(part).overflowY));
    const start = goal?.closest(".reading") ? goal : root.querySelector("#unseen");
    if (start) start.scrollIntoView({ block: start === goal ? "nearest" : "start" });
    else if (root.dataset.known !== undefined && reading) reading.scrollTop = reading.scrollHeight;
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest?.("#panes a[href]");
    if (!link || link.target || !pane()) return;
    if (link.id === "back") {
      if (!wide.matches) gensvar.refocus();
      if (wide.matches) { event.preventDefault(); gensvar.closeCase(); }
      else if (document.referrer && new URL(document.referrer).pathname === "/" && history.length > 1) { event.preventDefault(); history.back(); }
      return;
    }
    const url = new URL(link.href);
    if (!wide.matches && isCase(url) && !url.hash) gensvar.refocus();
    if (!wide.matches || !isCase(url) || url.hash || !(link.closest(".row") || link.closest("#case"))) return;
    if (link.hasAttribute("hx-get") || filters(url.search) !== filters(gensvar.page.query)) return;
    event.preventDefault();
    gensvar.openCase(url.pathname + url.search);
  });

  addEventListener("popstate", () => {
    if (!pane() || location.pathname + location.search === shown) return; // only the part after # has changed
    if (!wide.matches || !sameList()) location.reload();
    else if (location.pathname === "/") gensvar.closeCase({ back: true });
    else gensvar.openCase(location.pathname + location.search, { back: true });
  });

  // What is sent from the pane is answered in the pane.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || !form.closest("#case[data-case]") || form.dataset.fold || form.hasAttribute("hx-post")) return;
    event.preventDefault();
    const button = event.submitter;
    if (button?.name === "next") gensvar.refocus(); // where there is no next, a list comes in place of the pane
    coming = { form: form.getAttribute("action"), value: button?.value, next: button?.name === "next" };
    htmx.ajax("POST", button?.getAttribute("formaction") || form.getAttribute("action"), { source: pane(), target: "#case", swap: "outerHTML settle:0ms", values: new FormData(form, button) });
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (target.id !== "case") return;
    if (xhr.responseText.includes('<section id="case"')) { // also where it was refused: what was typed is in it
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    } else if (xhr.status < 400) {
      event.detail.shouldSwap = false;
      location.assign(xhr.responseURL); // a page of its own
    }
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "case") go(pane().dataset.address, !coming?.back);
  });

  document.addEventListener("htmx:responseError", (event) => {
    const { target, xhr } = event.detail;
    if (target.id !== "case") return;
    pane().removeAttribute("aria-busy");
    if (coming?.address) location.assign(coming.address);
    else if (xhr.status === 401) gensvar.refused();
    else gensvar.said(xhr.responseText);
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });

  document.addEventListener("htmx:sendError", (event) => {
    if (event.detail.target.id !== "case") return;
    pane().removeAttribute("aria-busy");
    gensvar.said(document.getElementById("help").dataset.failed);
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });

  // Folding a pane: at once here, and kept with the person.
  document.addEventListener("submit", (event) => {
    const { fold } = event.target.dataset;
    if (!fold) return;
    event.preventDefault();
    const folded = document.documentElement.toggleAttribute(`data-folded-${fold}`);
    for (const form of document.querySelectorAll(`form[data-fold="${fold}"]`)) {
      form.querySelector("button").setAttribute("aria-expanded", String(!folded));
      delete form.dataset.sent;
    }
    fetch(event.target.action, { method: "POST", headers: { "HX-Request": "true" }, body: new URLSearchParams(folded ? { pane: fold, folded: "1" } : { pane: fold }) });
  });

  // A row that is drawn anew is still that of the open case.
  document.addEventListener("gensvar:drawn", () => {
    const row = rowOf(pane()?.dataset.case);
    if (row) row.dataset.open = "";
  });

  htmx.onLoad((root) => {
    if (root.id === "case" && root.dataset.case) arrived(root);
    else if (root === document.body && pane()?.dataset.case) {
      markOpen(pane().dataset.case);
      if (wide.matches) rowOf(pane().dataset.case)?.scrollIntoView({ block: "nearest" });
      readFrom(pane(), document.getElementById(location.hash.slice(1)));
    }
  });
})();
