// Setting a status: notes to begin with go into the field with the first blank marked, and the numbers of a file go
// into theirs, where the preview sees them. Without script the form is sent, and comes back with them.
(() => {
  "use strict";

  const BLANK = /\[[^[\]\n]*[^\W\d_]{2}[^[\]\n]*\](?![(\[:])/u;

  function put(field, text) {
    const typed = field.value.trim();
    const start = typed ? typed.length + 2 : 0;
    field.value = typed ? `${typed}\n\n${text}` : text;
    field.focus();
    const blank = BLANK.exec(field.value.slice(start));
    if (blank) field.setSelectionRange(start + blank.index, start + blank.index + blank[0].length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("click", (event) => {
    const starter = event.target.closest?.("[data-starter]");
    if (!starter) return;
    event.preventDefault();
    put(document.getElementById(starter.dataset.starter), starter.dataset.body);
  });

  document.addEventListener("change", async (event) => {
    const brought = event.target;
    if (!brought.matches?.("[data-numbers]") || !brought.files.length) return;
    const field = document.getElementById(brought.dataset.numbers);
    if (field.value.trim()) return;
    const text = await brought.files[0].text();
    // What is no text, or too much of it, is left to the server, which says what is wrong with it.
    if (text.length > 400_000 || text.includes("\ufffd") || text.includes("\0")) return;
    field.value = text.replace(/^\ufeff/, "").trim();
    brought.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
