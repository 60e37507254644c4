/* A button that copies a text: <button type="button" data-copy="id" data-copied="…" data-marked="…">. Without script it is not shown. */
(() => {
  "use strict";
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    const words = button.querySelector("span");
    const before = words.textContent;
    let said = button.dataset.copied ?? "Copied";
    try {
      await navigator.clipboard.writeText(source.innerText);
    } catch {
      // Without https there is no clipboard: the text is marked.
      getSelection().selectAllChildren(source);
      said = button.dataset.marked ?? "Marked";
    }
    words.textContent = said;
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = said;
    setTimeout(() => { words.textContent = before; }, 2000);
  });
})();
