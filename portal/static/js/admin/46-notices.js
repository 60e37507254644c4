// The companies of a notice: those found by typing move up when they are chosen, and go when they are taken back.
// Without script what is ticked among those found is chosen just the same.
(() => {
  "use strict";

  document.addEventListener("change", (event) => {
    const box = event.target;
    const picker = box.closest?.("[data-companies]");
    if (!picker || box.type !== "checkbox") return;
    const pick = box.closest(".pick");
    const search = picker.querySelector('input[type="search"]');
    if (box.checked && pick.closest(".companies-found")) {
      picker.querySelector(".companies-chosen").append(pick);
      search.focus({ preventScroll: true });
    } else if (!box.checked && pick.closest(".companies-chosen")) {
      // A form hears of the change only where the box still stands in it: it goes when that was said.
      setTimeout(() => {
        pick.remove();
        search.focus({ preventScroll: true });
      });
    }
  });

  // Enter takes the first company that was found, and sends nothing.
  document.addEventListener("keydown", (event) => {
    const picker = event.target.closest?.("[data-companies]");
    if (!picker || event.key !== "Enter" || event.target.type !== "search") return;
    event.preventDefault();
    const first = picker.querySelector('.companies-found input[type="checkbox"]');
    if (!first) return;
    first.checked = true;
    first.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
