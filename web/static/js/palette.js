// Everything that can be done, found by typing: the keys of the help, and where the links of the navigation lead.
(() => {
  "use strict";
  const palette = document.getElementById("palette");
  if (!palette) return;
  const field = palette.querySelector("input");
  const list = palette.querySelector("ul");
  const none = palette.querySelector("[data-none]");
  const plain = (text) => text.toLocaleLowerCase(document.documentElement.lang).replace(/\s+/g, " ").trim();
  let entries = [];
  let from = null; // what had the focus before

  function gather() {
    const keys = [...document.querySelectorAll("#help [data-does]")].filter((each) => !["step", "leave", "send", "palette", "more", "select-all"].includes(each.dataset.does))
      .map((each) => ({ words: each.querySelector("dd").textContent, keys: each.querySelector("dt").cloneNode(true), run: () => gensvar.does(each) }));
    const links = [...document.querySelectorAll("#nav a[href], header.top nav a")]
      .map((each) => ({ words: (each.querySelector("span") || each).textContent, keys: null, run: () => each.click() }));
    return [...keys, ...links];
  }

  function draw() {
    const wanted = plain(field.value).split(" ");
    const begins = (each) => (plain(each.words).startsWith(wanted[0]) ? 0 : 1);
    const found = entries.filter((each) => wanted.every((word) => plain(each.words).includes(word)));
    found.sort((one, other) => begins(one) - begins(other));
    list.replaceChildren(...found.map((each, at) => {
      const option = document.createElement("li");
      option.id = `palette-${at}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", at === 0);
      option.append(Object.assign(document.createElement("span"), { textContent: each.words }));
      if (each.keys) { const keys = document.createElement("span"); keys.append(...each.keys.childNodes); each.keys = keys.cloneNode(true); option.append(keys); }
      option.addEventListener("click", () => run(each));
      return option;
    }));
    none.hidden = found.length > 0;
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", found.length > 0);
    mark(list.firstElementChild);
  }

  function mark(option) {
    list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", option?.id || "");
  }

  function run(entry) {
    palette.close(); // the focus is back where it was before anything is done there
    entry.run();
  }

  gensvar.palette = () => {
    from = document.activeElement;
    entries = gather();
    field.value = "";
    draw();
    palette.showModal();
    field.focus();
  };
  palette.addEventListener("close", () => from?.focus?.({ preventScroll: true }));
  field.addEventListener("input", draw);
  field.addEventListener("keydown", (event) => {
    const now = list.querySelector("[aria-selected=true]");
    if (event.key === "ArrowDown") mark(now?.nextElementSibling || list.firstElementChild);
    else if (event.key === "ArrowUp") mark(now?.previousElementSibling || list.lastElementChild);
    else if (event.key === "Enter" && !event.isComposing) now?.click();
    else return;
    event.preventDefault();
  });
})();
