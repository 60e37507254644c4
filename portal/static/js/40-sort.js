// Lists ordered by drag, by buttons or by arrow keys: the whole order goes to the server with the list's version.
(() => {
  "use strict";
  const lists = "[data-sortable]";
  const idsOf = (list) => [...list.children].map((row) => row.dataset.id);
  const say = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };

  const send = async (list) => {
    if (!list.dataset.sortUrl) return;
    const target = document.querySelector(list.dataset.sortTarget || `#${CSS.escape(list.id)}`) ?? list;
    await window.htmx.ajax("POST", list.dataset.sortUrl, {
      source: list,
      target,
      swap: "outerMorph",
      values: { order: idsOf(list).join(","), version: list.dataset.version },
    });
  };

  const refreshButtons = (list) => {
    const rows = [...list.children];
    rows.forEach((row, place) => {
      const up = row.querySelector('[data-move="up"]');
      const down = row.querySelector('[data-move="down"]');
      if (up) up.disabled = place === 0;
      if (down) down.disabled = place === rows.length - 1;
    });
  };

  const move = async (row, direction, control) => {
    const list = row.parentElement;
    const other = direction === "up" ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    if (direction === "up") other.before(row);
    else other.after(row);
    refreshButtons(list);
    const place = [...list.children].indexOf(row) + 1;
    const { id } = row.dataset;
    say(`${row.dataset.name ?? ""} ${place} / ${list.children.length}`.trim());
    await send(list);
    // The row may be a new element now: focus stays with what was moved.
    const again = document.querySelector(`${lists} > [data-id="${CSS.escape(id)}"]`);
    const wanted = again?.querySelector(`[data-move="${control}"]`);
    (wanted && !wanted.disabled ? wanted : again?.querySelector("[data-move]:not(:disabled)"))?.focus();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-move]");
    const row = button?.closest(`${lists} > *`);
    if (!row) return;
    event.preventDefault();
    move(row, button.dataset.move, button.dataset.move);
  });
  document.addEventListener("keydown", (event) => {
    const row = event.target.closest?.("[data-move]")?.closest(`${lists} > *`);
    const direction = { ArrowUp: "up", ArrowDown: "down" }[event.key];
    if (!row || !direction) return;
    event.preventDefault();
    move(row, direction, direction);
  });

  const prepare = () => {
    if (!window.Sortable) return;
    for (const list of document.querySelectorAll(lists)) {
      if (window.Sortable.get(list)) continue;
      let before = "";
      window.Sortable.create(list, {
        handle: "[data-handle]",
        animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
        onStart: () => { before = idsOf(list).join(); },
        onEnd: () => {
          refreshButtons(list);
          if (idsOf(list).join() !== before) send(list);
        },
      });
    }
  };
  document.addEventListener("DOMContentLoaded", prepare);
  document.addEventListener("htmx:after:swap", prepare);
})();
