// Lists ordered by drag, by buttons or by arrow keys: the whole order goes to the server with the list's version.
// A row with `data-carries` is the head of a group: it takes along the rows below it, down to the next such row.
(() => {
  "use strict";
  const lists = "[data-sortable]";
  const idsOf = (list) => [...list.children].map((row) => row.dataset.id);
  const say = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };

  const send = async (list) => {
    if (!list.dataset.sortUrl) {
      list.dispatchEvent(new Event("sorted", { bubbles: true }));
      return;
    }
    const target = document.querySelector(list.dataset.sortTarget || `#${CSS.escape(list.id)}`) ?? list;
    await window.htmx.ajax("POST", list.dataset.sortUrl, {
      source: list,
      target,
      swap: "outerMorph",
      values: { order: idsOf(list).join(","), version: list.dataset.version },
    });
  };

  const carries = (row) => row?.dataset.carries !== undefined;
  const headBeside = (row, sibling) => {
    let other = row[sibling];
    while (other && !carries(other)) other = other[sibling];
    return other;
  };
  const blockOf = (head) => {
    const block = [head];
    for (let row = head.nextElementSibling; row && !carries(row); row = row.nextElementSibling) block.push(row);
    return block;
  };

  const refreshButtons = (list) => {
    const rows = [...list.children];
    rows.forEach((row, place) => {
      const up = row.querySelector('[data-move="up"]');
      const down = row.querySelector('[data-move="down"]');
      if (up) up.disabled = carries(row) ? !headBeside(row, "previousElementSibling") : place === 0;
      if (down) down.disabled = carries(row) ? !headBeside(row, "nextElementSibling") : place === rows.length - 1;
    });
  };

  const move = async (row, direction, control) => {
    const list = row.parentElement;
    const sibling = direction === "up" ? "previousElementSibling" : "nextElementSibling";
    const other = carries(row) ? headBeside(row, sibling) : row[sibling];
    if (!other) return;
    const moving = carries(row) ? blockOf(row) : [row];
    if (direction === "up") other.before(...moving);
    else (carries(row) ? blockOf(other).at(-1) : other).after(...moving);
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
      let carried = [];
      window.Sortable.create(list, {
        handle: "[data-handle]",
        animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
        onStart: ({ item }) => {
          before = idsOf(list).join();
          carried = carries(item) ? blockOf(item).slice(1) : [];
        },
        onEnd: ({ item }) => {
          if (carries(item)) {
            // Dropped among the rows of another group: it goes behind them, and what it carries behind it.
            let next = item.nextElementSibling;
            while (next && (!carries(next) || carried.includes(next))) next = next.nextElementSibling;
            if (next) next.before(item, ...carried);
            else list.append(item, ...carried);
          }
          refreshButtons(list);
          if (idsOf(list).join() !== before) send(list);
        },
      });
    }
  };
  document.addEventListener("DOMContentLoaded", prepare);
  document.addEventListener("htmx:after:swap", prepare);
})();
