// The search palette: opened with / or Ctrl K from every staff page, steered with the arrow keys.
//
// The field is a combobox: focus stays in it, `aria-activedescendant` says which option is chosen. The key / can be
// switched off in the palette itself, for those whose hands or speech input find it by accident (WCAG 2.1.4).
(() => {
  "use strict";

  const palette = document.querySelector("#palette");
  if (!palette?.showModal) return;
  const input = palette.querySelector("#palette-input");
  const status = palette.querySelector("[data-palette-status]");
  const slash = palette.querySelector("[data-palette-slash]");
  const OFF = "palette-slash-off";

  const options = () => [...palette.querySelectorAll('[role="option"]')];
  const chosen = () => palette.querySelector('[role="option"][aria-selected="true"]');
  const isTyping = (element) =>
    element.isContentEditable || (element.matches?.("input, textarea, select") && !element.matches("[type=checkbox], [type=radio], [type=button], [type=submit]"));

  const remembered = () => {
    try {
      return localStorage.getItem(OFF) !== "1";
    } catch {
      return true; // a browser that keeps nothing: the key works
    }
  };

  function showSlash() {
    slash.setAttribute("aria-pressed", String(remembered()));
  }

  function open() {
    if (!palette.open) palette.showModal();
    input.focus();
    input.select();
  }

  function choose(option) {
    for (const each of options()) each.setAttribute("aria-selected", String(each === option));
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function step(by) {
    const all = options();
    if (!all.length) return;
    const at = all.indexOf(chosen());
    choose(all[(at + by + all.length + (at < 0 && by < 0 ? 1 : 0)) % all.length]);
  }

  function go(option, inNewTab) {
    if (!option) return;
    if (inNewTab) {
      window.open(option.dataset.address, "_blank", "noopener");
      return;
    }
    palette.close();
    window.location.assign(option.dataset.address);
  }

  // What is listed belongs to what was typed: an answer still on its way is not what Enter means.
  const isCurrent = () => palette.querySelector("#options").dataset.text === input.value.slice(0, 200).trim();

  document.addEventListener("keydown", (event) => {
    const isK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    // Focus leaves the field of a palette that was closed only when the page is drawn again.
    const isElsewhere = !isTyping(event.target) || palette.contains(event.target);
    const isSlash =
      event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && isElsewhere && remembered();
    if (!isK && !(isSlash && !palette.open)) return;
    event.preventDefault();
    open();
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-palette]");
    if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });

  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      step(steps[event.key]);
    } else if (event.key === "Enter" && chosen() && isCurrent()) {
      event.preventDefault();
      go(chosen(), event.ctrlKey || event.metaKey);
    }
  });

  palette.addEventListener("click", (event) => {
    if (event.target === palette || event.target.closest("[data-palette-close]")) palette.close();
    go(event.target.closest('[role="option"]'), event.ctrlKey || event.metaKey);
  });

  slash.addEventListener("click", () => {
    try {
      if (remembered()) localStorage.setItem(OFF, "1");
      else localStorage.removeItem(OFF);
    } catch {
      return;
    }
    showSlash();
  });

  // New options: the first one is chosen, so that Enter opens the best find. They may be those of before, of which
  // none is chosen any more, when somebody typed a letter and took it back.
  palette.addEventListener("htmx:after:swap", () => {
    const list = palette.querySelector("#options");
    if (!palette.open) return;
    const all = options();
    input.setAttribute("aria-expanded", String(all.length > 0));
    choose(all[0]);
    status.textContent = list.dataset.told;
  });

  showSlash();
})();
