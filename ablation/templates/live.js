"use strict";
// Reads the page again when it has been renewed, but not while nobody looks. Without scripts, a meta element does.
(() => {
  const { renewed, at } = document.body.dataset;
  const pause = document.getElementById("pause");
  const seconds = Math.max(1, Number(renewed));
  let due = false;
  const isPaused = () => pause.getAttribute("aria-pressed") === "true";
  const again = () => {
    if (due && !isPaused() && !document.hidden) location.reload();
  };
  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!isPaused()));
    pause.textContent = isPaused() ? "Go on" : "Pause";
    again();
  });
  document.addEventListener("visibilitychange", again);
  setTimeout(() => {
    due = true;
    again();
  }, 1000 * seconds);
  const age = Date.now() / 1000 - Number(at);
  document.getElementById("old").hidden = age < Math.max(60, 5 * seconds);
})();
