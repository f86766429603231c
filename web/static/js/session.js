// The end of the login: told five minutes before it comes, and put off where it can be.
(() => {
  "use strict";
  const part = document.getElementById("ending");
  if (!part) return;
  const BEFORE = 5 * 60000; // milliseconds
  const [text, stay, again] = ["p", "form.stay", "form.again"].map((each) => part.querySelector(each));
  let ends = Date.parse(part.dataset.ends);
  let told = false;

  const near = () => ends - (Date.now() - gensvar.skew) < BEFORE;
  const time = () => new Date(ends).toLocaleTimeString(document.documentElement.lang,
    { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: gensvar.page.zone });

  function show() {
    part.hidden = !near();
    if (part.hidden) { told = false; return; }
    text.textContent = text.dataset.text.replace("{time}", time());
    if (!told) gensvar.announce(text.textContent);
    told = true;
  }

  // Another window may have put it off: the server knows.
  async function ask(method) {
    const answer = await fetch(part.dataset.ask, { method, headers: { "HX-Request": "true" } });
    if (answer.status === 401) { gensvar.refused(); return; }
    if (!answer.ok) return;
    ends = Date.parse(answer.headers.get("X-Login-Ends"));
    const last = answer.headers.get("X-Login-Ends") === answer.headers.get("X-Login-Lasts"); // cannot be put off further
    stay.hidden = last;
    again.hidden = !last;
    show();
  }

  stay.addEventListener("submit", async (event) => {
    event.preventDefault();
    await ask("POST");
    delete stay.dataset.sent;
    if (part.hidden) document.getElementById("main").focus({ preventScroll: true });
  });

  setInterval(() => { if (near()) ask("GET").catch(() => {}); else show(); }, 15000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && near()) ask("GET").catch(() => {}); });
})();
