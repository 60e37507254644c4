// A password that is chosen: how far it is, while it is typed, and a button that shows it. Nothing is sent anywhere.
(() => {
  "use strict";
  const LEAST_FOR_GOOD = 20, LEAST_FOR_STRONG = 28;

  // Length counts most; a new character adds half as much again, so that "aaaaaaaaaaaa" is worth little.
  const points = (text) => [...text].length + new Set(text.toLowerCase()).size / 2;

  const equip = (box) => {
    const input = box.querySelector("input");
    if (!input || box.querySelector(".password-tools")) return;
    const words = box.dataset, least = Number(words.least);
    const tools = document.createElement("div");
    tools.className = "password-tools";
    const strength = document.createElement("span");
    strength.className = "password-strength";
    strength.setAttribute("role", "status");
    const meter = document.createElement("meter");
    Object.assign(meter, { min: 0, max: LEAST_FOR_STRONG, low: least, high: LEAST_FOR_GOOD, optimum: LEAST_FOR_STRONG });
    meter.setAttribute("aria-hidden", "true");
    const said = document.createElement("span");
    const show = document.createElement("button");
    show.type = "button";
    show.textContent = words.show;
    show.setAttribute("aria-pressed", "false");
    show.setAttribute("aria-controls", input.id);
    strength.append(meter, said);
    tools.append(strength, show);
    box.append(tools);

    const judge = () => {
      const missing = least - [...input.value].length, worth = points(input.value);
      strength.hidden = !input.value;
      meter.value = missing > 0 ? Math.min(worth, least - 1) : worth;
      said.textContent = missing > 1 ? words.more.replace("#", missing) : missing === 1 ? words.oneMore
        : worth < LEAST_FOR_GOOD ? words.fair : worth < LEAST_FOR_STRONG ? words.good : words.strong;
    };
    input.addEventListener("input", judge);
    show.addEventListener("click", () => {
      const isShown = input.type === "text";
      input.type = isShown ? "password" : "text";
      show.textContent = isShown ? words.show : words.hide;
      show.setAttribute("aria-pressed", String(!isShown));
    });
    input.form?.addEventListener("submit", () => { input.type = "password"; });
    judge();
  };

  const equipAll = (root) => root.querySelectorAll("[data-new-password]").forEach(equip);
  document.addEventListener("DOMContentLoaded", () => equipAll(document));
  document.addEventListener("htmx:after:swap", () => equipAll(document));
})();
