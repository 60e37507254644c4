// What changes with time alone rings nobody: an element with `data-beat` looks again after so many seconds.
(() => {
  const last = new WeakMap();
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-beat]")) {
      const now = Date.now();
      if (!last.has(element)) last.set(element, now);
      if (now - last.get(element) < Number(element.dataset.beat) * 1000) continue;
      last.set(element, now);
      element.dispatchEvent(new CustomEvent("live"));
    }
  }, 1000);
})();
