// Jobs and quotes for staff: ticking a whole page, cards that are dragged or moved by arrow keys, and pages that do
// not change under somebody's hands.
(() => {
  "use strict";
  const lists = ".board-cards";
  const ticked = '[name="item"]:checked';

  // What is ticked or being typed waits: the part looks again once that is over.
  const isInUse = (part) =>
    part.querySelector(ticked) !== null ||
    part.querySelector(".sortable-chosen") !== null ||
    (part.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), select, textarea"));
  const missed = new Set();
  const catchUp = () => {
    for (const part of missed) {
      if (!part.isConnected) missed.delete(part);
      else if (!isInUse(part)) {
        missed.delete(part);
        part.dispatchEvent(new CustomEvent("live", { bubbles: false }));
      }
    }
  };
  document.addEventListener(
    "live",
    (event) => {
      if (!event.target.classList?.contains("jobs") || !isInUse(event.target)) return;
      event.stopImmediatePropagation();
      missed.add(event.target);
    },
    true,
  );
  document.addEventListener("focusout", () => setTimeout(catchUp, 50));

  document.addEventListener("change", (event) => {
    const all = event.target.closest?.("[data-tick-all]");
    if (all) {
      for (const box of all.closest("form").querySelectorAll('[name="item"]')) box.checked = all.checked;
    }
    if (!all && event.target.name !== "item") return;
    for (const count of document.querySelectorAll("[data-ticked]")) {
      count.textContent = count.dataset.ticked.replace("{}", document.querySelectorAll(ticked).length);
    }
    catchUp();
  });

  const say = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };

  const send = async (board, go) => {
    try {
      await window.htmx.ajax("POST", board.dataset.board, {
        source: board,
        target: board,
        swap: "outerMorph",
        values: { go },
      });
    } catch {
      // It did not arrive: the board shows again what is true.
      board.dispatchEvent(new CustomEvent("live", { bubbles: false }));
    }
  };

  // The card may be a new element after its move: focus stays with what was moved.
  let following = "";
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button?.dataset.go) following = `#${CSS.escape(button.closest("li").id)} [data-go="${button.dataset.go}"]`;
  });
  document.addEventListener("keydown", (event) => {
    const card = event.target.closest?.("[data-card]");
    const way = { ArrowLeft: "left", ArrowRight: "right" }[event.key];
    const button = way && event.target.matches("[data-go]") && card?.querySelector(`[data-go="${way}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });

  const prepare = () => {
    if (following) {
      const button = document.querySelector(following);
      const card = document.querySelector(following.split(" ")[0]);
      (button ?? card?.querySelector("[data-go]"))?.focus();
      const title = card?.closest(".board-column")?.querySelector(".board-title > span");
      if (title) say(`${card.dataset.card.split(":")[0]}: ${title.textContent}`);
      following = "";
    }
    if (!window.Sortable) return;
    for (const list of document.querySelectorAll(`[data-may-move] ${lists}`)) {
      if (window.Sortable.get(list)) continue;
      window.Sortable.create(list, {
        group: "board",
        sort: false,
        filter: "button",
        preventOnFilter: false,
        delay: 150,
        delayOnTouchOnly: true,
        animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
        onEnd: ({ item, from, to }) => {
          if (from !== to) send(to.closest(".jobs-board"), `${item.dataset.card}:${to.dataset.column}`);
        },
      });
    }
  };
  document.addEventListener("DOMContentLoaded", prepare);
  document.addEventListener("htmx:after:swap", prepare);
})();
