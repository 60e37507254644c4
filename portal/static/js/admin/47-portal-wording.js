// The badge beside a custom wording shows what is being typed, and the default while nothing is.
(() => {
  "use strict";
  const show = (field) => {
    const row = field.closest("[data-wording]");
    row.querySelector(".badge-word").textContent = field.value.trim() || field.placeholder;
    row.querySelector("[data-wording-reset]").hidden = field.value === "";
  };

  document.addEventListener("input", (event) => {
    if (event.target.closest?.("[data-wording]")) show(event.target);
  });

  document.addEventListener("click", (event) => {
    const reset = event.target.closest?.("[data-wording-reset]");
    if (!reset) return;
    const field = reset.closest("[data-wording]").querySelector("input");
    field.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });
})();
