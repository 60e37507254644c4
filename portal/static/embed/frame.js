/* Tells the page around this frame how tall it is, and looks again each minute unless somebody is reading with the
   keyboard just now. Nothing else leaves it, and nothing is listened to. */
(() => {
  "use strict";
  if (window.parent === window) return;
  const tell = () => {
    const shown = document.querySelector(".status");
    const height = shown ? Math.ceil(shown.getBoundingClientRect().height) : 0;
    window.parent.postMessage({ signalbox: "height", height }, "*");
  };
  new ResizeObserver(tell).observe(document.documentElement);
  tell();
  setInterval(() => {
    if (!document.hasFocus()) location.reload();
  }, 60000);
})();
