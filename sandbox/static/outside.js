// Keeps the page alive: new posts come in without reloading, and what is being typed stays where it is.
"use strict";

const EVERY = 2000;

function ago(at) {
  const minutes = Math.floor((Date.now() - Date.parse(at)) / 60000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}

// The form of a column is moved into the thread that is answered; it is never part of what is replaced.
function answer(column, link) {
  const form = column.querySelector("form.write");
  const { answer: to, place, author } = link.dataset;
  form.elements.to.value = to;
  form.elements.place.value = place;
  form.querySelector(".what").textContent = `Answer ${author}`;
  form.querySelector(".cancel").hidden = false;
  form.classList.add("answering");
  const title = form.querySelector(".title");
  if (title) title.hidden = true;
  link.closest(".thread").append(form);
  (form.elements.name.value ? form.elements.text : form.elements.name).focus();
}

function home(column) {
  const form = column.querySelector("form.write");
  form.elements.to.value = "";
  form.elements.place.value = form.dataset.home;
  form.querySelector(".what").textContent = form.dataset.start;
  form.querySelector(".cancel").hidden = true;
  form.classList.remove("answering");
  const title = form.querySelector(".title");
  if (title) title.hidden = false;
  column.querySelector(".threads").before(form);
}

async function refresh(column) {
  const answered = await fetch(`/columns/${column.dataset.column}`);
  if (!answered.ok) return;
  const fresh = new DOMParser().parseFromString(await answered.text(), "text/html");
  const list = column.querySelector(".threads");
  const form = column.querySelector("form.write");
  const busy = form.classList.contains("answering");
  const focused = document.activeElement?.dataset?.answer;
  list.querySelector(":scope > .empty")?.remove();
  let above = null;
  for (const thread of fresh.querySelectorAll(".thread")) {
    let mine = document.getElementById(thread.id);
    if (!mine) {
      mine = document.adoptNode(thread);
      mine.querySelectorAll(".post").forEach((post) => post.classList.add("arrived"));
      if (above) above.after(mine); else list.prepend(mine);
    } else {
      if (mine.dataset.version !== thread.dataset.version) {
        const known = new Set([...mine.querySelectorAll(".post")].map((post) => post.dataset.post));
        const posts = document.adoptNode(thread.querySelector(".posts"));
        posts.querySelectorAll(".post").forEach((post) => {
          if (!known.has(post.dataset.post)) post.classList.add("arrived");
        });
        mine.querySelector(".posts").replaceWith(posts);
        mine.dataset.version = thread.dataset.version;
      }
      // the newest on top, but nothing moves while somebody is writing in the column
      if (!busy) {
        const place = above ? above.nextElementSibling : list.firstElementChild;
        if (place !== mine) list.insertBefore(mine, place);
      }
    }
    above = mine;
  }
  if (focused) column.querySelector(`[data-answer="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  column.querySelectorAll("time").forEach((time) => { time.textContent = ago(time.dateTime); });
}

async function send(form) {
  const answered = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const page = new DOMParser().parseFromString(await answered.text(), "text/html");
  return { ok: answered.ok, wrong: page.querySelector(".wrong")?.textContent ?? "That did not work.", page };
}

for (const column of document.querySelectorAll(".column")) {
  const write = column.querySelector("form.write");
  const said = write.querySelector(".said");
  write.dataset.start = write.querySelector(".what").textContent;
  write.elements.name.value ||= sessionStorage.getItem("name") ?? "";

  column.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-answer]");
    if (link) { event.preventDefault(); answer(column, link); }
    if (event.target.closest(".cancel")) home(column);
  });

  write.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = write.querySelector(".primary");
    button.disabled = true;
    try {
      const { ok, wrong } = await send(write);
      said.textContent = ok ? "Published." : wrong;
      if (!ok) return;
      sessionStorage.setItem("name", write.elements.name.value);
      write.elements.text.value = "";
      if (write.elements.title) write.elements.title.value = "";
      home(column);
      await refresh(column);
    } catch {
      said.textContent = "The outside does not answer. Is the demo still running?";
    } finally {
      button.disabled = false;
    }
  });

  column.querySelector(".faults").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    const on = button.value === "1";
    const body = new FormData(event.target, button);
    const answered = await fetch(event.target.action, { method: "POST", body: new URLSearchParams(body) });
    if (!answered.ok) return;
    button.value = on ? "0" : "1";
    button.setAttribute("aria-pressed", String(on));
    button.querySelector(".state").textContent = on ? "On" : "Off";
    const count = column.querySelectorAll('.switch[aria-pressed="true"]').length;
    column.querySelector(".count").textContent = count ? ` · ${count} on` : "";
  });
}

(async function live() {
  for (;;) {
    await new Promise((done) => setTimeout(done, EVERY));
    if (document.hidden) continue;
    for (const column of document.querySelectorAll(".column")) await refresh(column).catch(() => {});
  }
})();
