// The script of an alert: what may stand in it is beside the field. While a word is typed, only what begins like it is
// shown; a click puts it in, and so do Ctrl and Space with the first of them. Without script it is a list to read.
(() => {
  "use strict";

  const WORD = /[a-z_]*$/;
  const field = () => document.querySelector("[data-script-words]");
  const list = (source) => document.getElementById(source.dataset.scriptWords);
  const before = (source) => source.value.slice(0, source.selectionStart);
  const shown = (source) => [...list(source).querySelectorAll("[data-insert]")].filter((word) => !word.closest("li").hidden);

  function narrow(source) {
    const [typed] = WORD.exec(before(source));
    // Inside of quotation marks stands a window or a key, and no name of ours.
    const isName = typed && (before(source).match(/"/g) || []).length % 2 === 0;
    const words = [...list(source).querySelectorAll("[data-insert]")];
    const fits = (word) => word.dataset.insert.startsWith(typed);
    const narrows = isName && words.some(fits);
    for (const word of words) word.closest("li").hidden = narrows && !fits(word);
  }

  function insert(source, word) {
    const [typed] = WORD.exec(before(source));
    const text = word.dataset.insert;
    const end = source.selectionStart;
    const start = text.startsWith(typed) ? end - typed.length : end;
    source.setRangeText(text, start, source.selectionEnd, "end");
    // What stands between the quotation marks is an example: marked, so that the next key writes over it.
    const quote = text.indexOf('"');
    if (quote >= 0) source.setSelectionRange(start + quote + 1, start + text.lastIndexOf('"'));
    source.focus();
    source.dispatchEvent(new Event("input", { bubbles: true }));
    for (const each of list(source).querySelectorAll("li")) each.hidden = false;
  }

  document.addEventListener("input", (event) => {
    if (event.target.matches?.("[data-script-words]")) narrow(event.target);
  });

  document.addEventListener("keydown", (event) => {
    const source = event.target;
    if (!source.matches?.("[data-script-words]") || !event.ctrlKey || event.code !== "Space") return;
    const [first] = shown(source);
    if (!first) return;
    event.preventDefault();
    insert(source, first);
  });

  document.addEventListener("click", (event) => {
    const word = event.target.closest?.("[data-insert]");
    const source = field();
    if (word && source) insert(source, word);
  });
})();
