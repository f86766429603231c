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
})();
