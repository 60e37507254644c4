// The component picker of a report: typing narrows the chips, Enter takes the first one that is left.
// Without script every chip is simply there.
(() => {
  "use strict";

  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  function narrow(picker, text) {
    const wanted = words(text);
    let found = 0;
    for (const group of picker.querySelectorAll(".picker-group")) {
      let left = 0;
      for (const pick of group.querySelectorAll(".pick")) {
        const fits = wanted.every((word) => pick.dataset.text.includes(word));
        const isChosen = pick.querySelector("input").checked;
        pick.hidden = !fits && !isChosen;
        if (!pick.hidden) left += 1;
        if (fits) found += 1;
      }
      group.hidden = left === 0;
    }
    const none = picker.querySelector(".picker-none");
    if (none) none.hidden = found > 0;
  }

  document.addEventListener("input", (event) => {
    if (!event.target.matches?.("[data-picker-search]")) return;
    // What is searched for is not what is published: the preview need not be asked for it.
    event.stopPropagation();
    narrow(event.target.closest("[data-picker]"), event.target.value);
  }, true);

  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!field.matches?.("[data-picker-search]") || event.key !== "Enter") return;
    event.preventDefault();
    const picker = field.closest("[data-picker]");
    const wanted = words(field.value);
    const first = [...picker.querySelectorAll(".picker-group .pick")].find(
      (pick) => wanted.length && wanted.every((word) => pick.dataset.text.includes(word)),
    );
    if (!first) return;
    const box = first.querySelector("input");
    box.checked = true;
    field.value = "";
    narrow(picker, "");
    box.dispatchEvent(new Event("change", { bubbles: true }));
    first.querySelector("select").focus();
  });
})();
