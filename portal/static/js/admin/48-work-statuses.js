// Work statuses: badges of colours that are not saved yet, the popovers of colours, and the numbers of places.
(() => {
  "use strict";

  // Colours the style sheet does not know are set through the CSSOM.
  const paint = (root) => {
    for (const badge of root.querySelectorAll("[data-ground]")) {
      const { ground, ink } = badge.dataset;
      if (badge.style.getPropertyValue("--ground") === ground && badge.style.getPropertyValue("--on-ground") === ink) continue;
      badge.style.setProperty("--ground", ground);
      badge.style.setProperty("--on-ground", ink);
    }
  };
  const focusNew = (root) => root.querySelector("[data-focus-new]")?.focus();

  const HEX = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i;
  const showColour = (field) => {
    const holder = field.closest("[data-colour]");
    const typed = field.value.trim();
    const colour = HEX.test(typed) ? `#${typed.replace("#", "")}` : holder.dataset.colour;
    holder.querySelector("summary svg").setAttribute("fill", colour);
    // The colour of the portal is that inside until it has one of its own.
    if (!field.name.startsWith("color.")) return;
    const portal = field.closest("tr").querySelector('[name^="portal_color."]');
    portal.closest("[data-colour]").dataset.colour = colour;
    portal.placeholder = colour;
    if (!portal.value.trim()) showColour(portal);
  };

  document.addEventListener("input", (event) => {
    if (event.target.matches?.("[data-hex]")) showColour(event.target);
  });
  document.addEventListener("click", (event) => {
    const swatch = event.target.closest?.("[data-swatch]");
    if (!swatch) return;
    const field = swatch.closest("[data-colour]").querySelector("[data-hex]");
    field.value = swatch.dataset.swatch;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // What a status is called now is what it is offered as: to be shown instead of another, or to take what another leaves.
  const callIt = (field) => {
    const id = field.name.slice("name.".length);
    const name = field.value.trim() || "the new status";
    for (const option of document.querySelectorAll(`[data-showing] option[value="to:${id}"], [name^="replacement."] option[value="${id}"]`)) {
      option.textContent = name;
    }
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches?.('.work-name input[name^="name."]')) callIt(event.target);
  });

  // The order is what the numbers say, with script and without.
  document.addEventListener("sorted", (event) => {
    if (!event.target.matches("[data-work-order]")) return;
    [...event.target.querySelectorAll("[data-place]")].forEach((field, place) => { field.value = place + 1; });
    event.target.dispatchEvent(new Event("change", { bubbles: true }));
  });

  const begin = () => {
    if (!document.querySelector("[data-ground]")) return;
    paint(document);
    focusNew(document);
  };
  document.addEventListener("DOMContentLoaded", () => {
    begin();
    if (!document.getElementById("work-statuses")) return;
    // What is swapped in has no colours yet, and what is morphed has lost them.
    new MutationObserver((changes) => {
      for (const { target, addedNodes } of changes) {
        paint(target.parentElement ?? target);
        for (const node of addedNodes) if (node instanceof Element) focusNew(node);
      }
    }).observe(document.getElementById("main"), {
      childList: true, subtree: true, attributeFilter: ["style", "data-ground", "data-ink"],
    });
  });
})();
