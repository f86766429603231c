// What is new: asked for every two seconds, shown without moving anything under a hand.
(() => {
  "use strict";
  const { page } = gensvar;
  const POLL = 2000;
  const trouble = document.getElementById("trouble");
  const news = () => document.querySelector("button.news");
  const here = () => new Date().toLocaleTimeString(document.documentElement.lang,
    { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: page.zone }); // as the server writes it
  let last = page.last;
  let restarts = page.restarts;
  let seen = here();
  let failures = 0;
  let waiting = new Set();
  let restartedAt = null;

  function say(text, link) {
    if (trouble.dataset.said === text) return;
    trouble.dataset.said = text;
    trouble.textContent = text;
    if (text && link) {
      const a = document.createElement("a");
      a.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      a.textContent = trouble.dataset.login;
      trouble.append(" ", a);
    }
    trouble.hidden = !text;
  }

  function offer(count) {
    const button = news();
    if (!button) return;
    const { one, many, lots } = button.dataset;
    button.textContent = count === Infinity ? lots || many : count === 1 ? one : many.replace("{n}", count);
    if (button.hidden && count) gensvar.announce(button.textContent);
    button.hidden = !count;
  }

  async function poll() {
    if (document.hidden) return;
    try {
      const query = page.query ? `&${page.query}` : "";
      const answer = await fetch(`${page.live}?after=${last}${query}`, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) { say(trouble.dataset.out, true); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      failures = 0;
      seen = here();
      const dated = Date.parse(answer.headers.get("Date"));
      if (dated) gensvar.skew = Math.abs(Date.now() - dated) > 2000 ? Date.now() - dated : 0;
      const count = answer.headers.get("X-Restarts");
      if (Number(count) > Number(restarts)) { restartedAt = here(); setTimeout(() => { restartedAt = null; }, 30000); }
      restarts = count;
      if (answer.headers.get("X-Collecting") === "down") say(trouble.dataset.down);
      else if (restartedAt) say(trouble.dataset.restarted.replace("{time}", restartedAt));
      else say("");
      const open = gensvar.open();
      if (answer.status === 200) {
        const told = await answer.json();
        last = told.last;
        if (open) await refreshThread(told);
        else refreshList(told);
      } else if (open && document.querySelector("article[data-status=held], article[data-status=queued], article[data-status=calling]")) {
        await refreshThread({ cases: [Number(open.dataset.case)] });
      }
    } catch {
      failures += 1;
      if (failures > 1) say(trouble.dataset.lost.replace("{time}", seen));
    }
  }

  function refreshList(told) {
    if (told.many) { offer(Infinity); return; }
    for (const { case: number, html, in: wanted } of told.rows) {
      const old = document.getElementById(`case-${number}`);
      if (!old) { if (wanted) waiting.add(number); else waiting.delete(number); continue; }
      const fresh = gensvar.fragment(html).firstElementChild;
      const focused = old.contains(document.activeElement);
      if (old.hasAttribute("aria-current")) fresh.setAttribute("aria-current", "true");
      old.replaceWith(fresh);
      if (focused) fresh.querySelector("a").focus({ preventScroll: true });
    }
    offer(waiting.size);
  }

  // Whether somebody has chosen or typed something there that is not sent yet.
  const begun = (part) => [...part.querySelectorAll("select, input, textarea")].some((field) =>
    field.options ? [...field.options].some((option) => option.selected !== option.defaultSelected)
      : field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);

  // The thread, and the head and facts of the case, as they are now; shown at once where nobody is at work.
  const caseNow = async () => {
    const answer = await fetch(gensvar.open().dataset.thread, { headers: { "HX-Request": "true" } });
    return answer.ok ? gensvar.fragment(await answer.text()) : null;
  };

  async function refreshThread(told) {
    if (!told.many && !told.cases.includes(Number(gensvar.open().dataset.case))) return;
    const fresh = await caseNow();
    if (!fresh) return;
    gensvar.pointBack(fresh);
    for (const part of fresh.querySelectorAll("[data-moves]")) {
      const old = document.getElementById(part.id);
      if (!old || old.contains(document.activeElement) || begun(old)) continue;
      old.querySelectorAll("details").forEach((fold, at) => { const same = part.querySelectorAll("details")[at]; if (same) same.open = fold.open; });
      if (old.outerHTML === part.outerHTML) continue;
      old.replaceWith(part);
      htmx.process(part);
    }
    waiting = new Set();
    for (const entry of fresh.querySelector(".thread").children) {
      const old = document.getElementById(entry.id);
      if (!old) { waiting.add(entry.id); continue; }
      if (old.contains(document.activeElement) || old.outerHTML === entry.outerHTML) continue;
      if (entry.dataset.status === "held" && old.dataset.status === "held") continue; // it is being counted down
      old.replaceWith(entry.cloneNode(true));
    }
    gensvar.countDown();
    offer(waiting.size);
  }

  async function showNews() {
    if (!gensvar.open()) { location.reload(); return; }
    const fresh = (await caseNow())?.querySelector(".thread");
    if (!fresh) return;
    document.querySelector(".thread").replaceWith(fresh);
    const version = document.querySelector("#reply-form input[name=version]");
    if (version) version.value = fresh.dataset.version; // now they have been seen
    const first = document.getElementById([...waiting][0]);
    waiting = new Set();
    offer(0);
    first?.setAttribute("tabindex", "-1");
    first?.focus();
  }

  document.addEventListener("click", (event) => { if (event.target.closest?.("button.news")) showNews(); });

  if (page.live) {
    gensvar.refresh = poll;
    if (page.collecting === "down") say(trouble.dataset.down);
    setInterval(poll, POLL);
    document.addEventListener("visibilitychange", poll);
  }
})();
