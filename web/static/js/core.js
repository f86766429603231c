// What the other scripts share. Everything works without them, less well.
(() => {
  "use strict";
  const page = document.body.dataset;
  const said = document.getElementById("said");
  let fading;

  function fade() { // not from under a hand or a focus that is on its way to undo
    if (said.matches(":hover, :focus-within")) fading = setTimeout(fade, 5000);
    else said.replaceChildren();
  }

  // It lies over nothing that has the focus.
  function giveWay() {
    const part = document.activeElement;
    said.classList.remove("above");
    const [over, held] = [said, part].map((each) => each.getBoundingClientRect());
    const covered = held.top < over.bottom && held.bottom > over.top && held.left < over.right && held.right > over.left;
    said.classList.toggle("above", covered && part.matches("a, button, input, select, textarea, summary, [tabindex]") && !part.contains(said) && !said.contains(part));
  }
  document.addEventListener("focusin", () => requestAnimationFrame(giveWay));

  function toast() {
    said.classList.add("toast");
    giveWay();
    clearTimeout(fading);
    fading = setTimeout(fade, 20000);
  }

  window.gensvar = {
    page, // what the server said about this page: user, zone, live, last …
    own: ["after", "case", "draft", "list", "state", "to", "why", "window"], // in an address, and no filter of its list: web/panes.py
    skew: 0, // milliseconds our clock is before the server's; live.js finds out
    refresh() {}, // asks at once for what is new; live.js does it
    refused() {}, // an answer said that the login has ended; live.js shows it

    announce(text) { document.getElementById("status").textContent = text; },

    fragment(html) {
      const template = document.createElement("template");
      template.innerHTML = html;
      return template.content;
    },

    // A short message in the corner, also where it is an answer of the server with a button in it.
    said(html) {
      said.replaceChildren(gensvar.fragment(html));
      htmx.process(said);
      toast();
    },

    // The case that is open, as the element that names it (data-case, data-thread); null in a list.
    open() { return document.querySelector("[data-case]"); },
  };

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "said") return;
    htmx.process(said); // its button may be pressed before the swap has settled
    toast();
    gensvar.refresh();
  });
  for (const failure of ["htmx:responseError", "htmx:sendError"]) {
    document.addEventListener(failure, (event) => {
      if (event.detail.target.id !== "said") return;
      said.textContent = document.getElementById("help").dataset.failed;
      toast();
    });
  }

  // A second click sends nothing twice; the server refuses it too.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 5000);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));
  // A strip that scrolls shows the link that has the focus whole; browsers are content with a part of it.
  document.addEventListener("focusin", (event) => event.target.closest(".views a") && event.target.scrollIntoView({ block: "nearest", inline: "nearest" }));
})();
