// The wall display: the whole screen on a click, and a screen that does not go to sleep while it is shown.
(() => {
  "use strict";
  const button = document.getElementById("full-screen");
  if (!button) return;
  const enter = button.textContent;
  let awake = null;

  // Refused where the battery is low or the window is not seen: then the screen sleeps as it is set up to.
  async function stay() {
    if (document.hidden || !navigator.wakeLock) return;
    awake = await navigator.wakeLock.request("screen").catch(() => null);
  }

  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  });
  document.addEventListener("fullscreenchange", () => {
    button.textContent = document.fullscreenElement ? button.dataset.leave : enter;
  });
  document.addEventListener("visibilitychange", () => { if (!awake || awake.released) stay(); });
  stay();

  // A screen left on the wall is told nothing, it asks: when it gets no answer, it says since when.
  const trouble = document.getElementById("trouble");
  const shown = () => document.querySelector("#wall .as-of").dataset.time;
  if (!document.body.dataset.user) document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const lost = detail.xhr.status === 401 ? trouble.dataset.out : trouble.dataset.lost.replace("{time}", shown());
    trouble.textContent = detail.successful ? "" : lost;
  });
})();
