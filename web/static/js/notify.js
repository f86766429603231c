// What the reader should know, as it comes: on top of the list, in the window's title, and from the browser where the
// reader has allowed it.
(() => {
  "use strict";
  const ALLOWED = "browser-notices"; // in this browser
  const SHOWN = "notice-shown"; // the newest the browser has shown, whichever window did
  if (!gensvar.page.user) return;
  let count = null;
  let newest = null;

  function title() {
    const plain = document.title.replace(/^\(\d+\) /, "");
    const wanted = count ? `(${count}) ${plain}` : plain;
    if (document.title !== wanted) document.title = wanted;
  }

  document.addEventListener("gensvar:news", ({ detail: hint }) => {
    if (!hint.unseen) return;
    const before = newest ?? drawn(hint.unseen[1]);
    const changed = hint.unseen[1] !== before || (count !== null && hint.unseen[0] !== count);
    [count, newest] = hint.unseen;
    title();
    if (changed) fetchNotices(before);
  });

  // The newest the page was drawn with; a page that shows none has nothing to catch up.
  const drawn = (now) => document.getElementById("notices") ? Number(document.querySelector("#notices input[name=until]")?.value || 0) : now;
  new MutationObserver(title).observe(document.querySelector("title"), { childList: true });

  async function fetchNotices(after) {
    const answer = await fetch(`/live/notices?after=${after}`, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok) return;
    const told = await answer.json();
    const place = document.getElementById("notices");
    if (place && !place.contains(document.activeElement)) {
      place.innerHTML = told.html;
      htmx.process(place);
    }
    if (told.new.length && !document.hidden) gensvar.announce(`${told.new[0].words}: ${told.new[0].about}`);
    for (const each of told.new.reverse()) show(each);
  }

  // Once in all windows of this browser, and only where nobody is looking.
  function show(notice) {
    if (notice.silent || !document.hidden || localStorage.getItem(ALLOWED) !== "yes" || window.Notification?.permission !== "granted") return;
    if (Number(localStorage.getItem(SHOWN)) >= notice.id) return;
    localStorage.setItem(SHOWN, notice.id);
    const shown = new Notification(notice.words, { body: notice.about, tag: `notice-${notice.id}`, icon: document.querySelector("link[rel=icon]").href });
    shown.addEventListener("click", () => { window.focus(); location.assign(notice.address); shown.close(); });
  }

  // -- the settings: asked only when somebody presses the button ---------------------------------------------------------
  function settings(root) {
    const part = root.querySelector("#browser-notices");
    if (!part) return;
    const possible = "Notification" in window;
    const on = possible && Notification.permission === "granted" && localStorage.getItem(ALLOWED) === "yes";
    const refused = possible && Notification.permission === "denied";
    part.hidden = false;
    part.querySelector("button").hidden = !possible || refused;
    part.querySelector("button").textContent = on ? part.dataset.turnOff : part.dataset.turnOn;
    part.querySelector(".state").textContent = !possible ? part.dataset.none : refused ? part.dataset.refused : on ? part.dataset.on : part.dataset.off;
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("#browser-notices button");
    if (!button) return;
    const on = Notification.permission === "granted" && localStorage.getItem(ALLOWED) === "yes";
    if (on) localStorage.removeItem(ALLOWED);
    else if (await Notification.requestPermission() === "granted") localStorage.setItem(ALLOWED, "yes");
    settings(document);
    gensvar.announce(document.querySelector("#browser-notices .state").textContent);
  });
  htmx.onLoad(settings);
})();
