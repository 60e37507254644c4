// The component picker of a report: typing narrows the chips, Enter takes the first one that is left, and what is
// chosen stands above the list. Without script every chip is simply there.
(() => {
  "use strict";

  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
  const boxOf = (pick) => pick.querySelector('input[type="checkbox"]');
  const homes = new WeakMap(); // chip → the place in the list it came from

  function narrow(picker, text) {
    const wanted = words(text);
    let found = 0;
    for (const group of picker.querySelectorAll(".picker-group")) {
      const picks = [...group.querySelectorAll(".pick")];
      for (const pick of picks) pick.hidden = !wanted.every((word) => pick.dataset.text.includes(word));
      const left = picks.filter((pick) => !pick.hidden).length;
      group.hidden = left === 0;
      found += left;
    }
    picker.querySelector(".picker-none").hidden = found > 0 || wanted.length === 0;
  }

  // Chosen ones stand above the list, the others where they belong. A move takes the focus away: it is given back.
  function place(pick, byHand = true) {
    const picker = pick.closest("[data-picker]");
    const chosen = picker.querySelector(".picker-chosen");
    const box = boxOf(pick);
    const focused = pick.contains(document.activeElement) ? document.activeElement : null;
    if (box.checked && pick.parentElement !== chosen) {
      const home = document.createComment("");
      pick.replaceWith(home);
      homes.set(pick, home);
      chosen.append(pick);
    } else if (!box.checked && homes.has(pick)) {
      homes.get(pick).replaceWith(pick);
      homes.delete(pick);
    } else {
      return;
    }
    const search = picker.querySelector("[data-picker-search]");
    if (search) narrow(picker, search.value);
    if (byHand) (focused?.isConnected && !pick.hidden ? focused : search)?.focus({ preventScroll: true });
  }

  const isPick = (element) => element.matches?.('.picker-list .pick input[type="checkbox"], .picker-chosen .pick input[type="checkbox"]');

  document.addEventListener("change", (event) => {
    if (isPick(event.target)) place(event.target.closest(".pick"));
  });

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
    const first = [...field.closest("[data-picker]").querySelectorAll(".picker-group .pick")].find((pick) => !pick.hidden);
    if (!first || !field.value.trim()) return;
    field.value = "";
    boxOf(first).checked = true;
    boxOf(first).dispatchEvent(new Event("change", { bubbles: true }));
    first.querySelector("select")?.focus();
  });

  // A list that was opened in the preview stays open while the preview follows the form.
  let opened = [];
  document.addEventListener("htmx:before:swap", () => {
    opened = [...document.querySelectorAll("#preview details[open]")].map((each) => each.id);
  });
  document.addEventListener("htmx:after:swap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    placeAll();
  });

  function placeAll() {
    for (const box of document.querySelectorAll('.picker-list input[type="checkbox"]:checked')) place(box.closest(".pick"), false);
  }

  document.addEventListener("DOMContentLoaded", placeAll);
})();
