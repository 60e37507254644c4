// A file that is too big is told of before it is sent.
(() => {
  "use strict";

  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.dataset.mostBytes) return;
    const most = Number(input.dataset.mostBytes);
    const file = input.files[0];
    const sentence =
      file && file.size > most
        ? `This file has ${Math.ceil(file.size / 1e6)} MB; at most ${Math.floor(most / 1e6)} MB are taken at once. Split it: what was imported before is found again.`
        : "";
    const told = document.getElementById("file-error");
    told.textContent = sentence;
    told.hidden = !sentence;
    input.setCustomValidity(sentence);
  });
})();
