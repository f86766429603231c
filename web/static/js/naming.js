// Naming a colleague in a note: after @ those that fit are offered under the field. The arrows choose, Enter or Tab takes, Escape leaves.
(() => {
  "use strict";
  let known = null; // asked for at the first @
  let list = null;
  let field = null;
  let at = 0;
  const fold = (text) => text.toLocaleLowerCase();

  function begun(area) { // what stands between the @ and the caret, or null
    if (area.selectionStart !== area.selectionEnd) return null;
    const found = /(?:^|[^\w@.])@([^\s@]{0,40}(?: [^\s@]{1,40})?)$/u.exec(area.value.slice(0, area.selectionStart));
    return found ? found[1] : null;
  }

  function close() {
    list?.remove();
    field?.removeAttribute("aria-activedescendant");
    field?.removeAttribute("aria-controls");
    list = field = null;
  }

  function mark(to) {
    const all = [...list.children];
    at = (to + all.length) % all.length;
    all.forEach((item, number) => item.setAttribute("aria-selected", String(number === at)));
    field.setAttribute("aria-activedescendant", all[at].id);
  }

  function take(item) {
    const area = field;
    const start = area.selectionStart - begun(area).length;
    area.setRangeText(`${item.dataset.insert} `, start, area.selectionStart, "end");
    close();
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  async function offer(area) {
    const typed = begun(area);
    if (typed === null) { close(); return; }
    known ??= fetch(area.dataset.named, { headers: { "HX-Request": "true" } }).then((answer) => (answer.ok ? answer.json() : { named: [] })).then((told) => told.named).catch(() => { known = null; return []; });
    const people = await known;
    if (begun(area) !== typed) return; // it has been typed on
    const wanted = fold(typed);
    const fit = people.filter((each) => [each.name, each.more, ...each.name.split(" ")].some((name) => fold(name).startsWith(wanted))).slice(0, 8);
    if (!fit.length || (fit.length === 1 && fold(fit[0].insert) === wanted.trimEnd())) { close(); return; }
    close();
    field = area;
    list = document.createElement("ul");
    list.className = "named";
    list.id = "named";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", area.dataset.namedLabel);
    fit.forEach((each, number) => {
      const item = document.createElement("li");
      item.id = `named-${number}`;
      item.setAttribute("role", "option");
      item.dataset.insert = each.insert;
      item.textContent = `${each.name} · ${each.more}`;
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(item); });
      list.append(item);
    });
    area.after(list);
    area.setAttribute("aria-controls", "named");
    mark(0);
    list.scrollIntoView({ block: "nearest" });
    gensvar.announce([...list.children].map((item) => item.textContent).join(", "));
  }

  document.addEventListener("input", (event) => { if (event.target.matches?.("[data-named]")) offer(event.target); });
  document.addEventListener("focusout", (event) => { if (event.target === field) close(); });
  document.addEventListener("keydown", (event) => {
    if (!list || event.target !== field || event.isComposing) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (steps[event.key]) mark(at + steps[event.key]);
    else if (event.key === "Escape") close();
    else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || (event.key === "Tab" && !event.shiftKey)) take(list.children[at]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
})();
