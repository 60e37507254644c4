// Files of a form are sent as soon as they are chosen, one after the other, each with its progress; the form then only
// names them. So a photo travels while somebody still writes, and a file that is refused costs no text.
//
// The field: [data-uploads] (where to send), in it file inputs and [data-upload-list]. Without script the inputs go
// with the form.
(() => {
  "use strict";

  const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";
  const queue = [];
  let isSending = false;

  const named = (sentence, name) => (sentence ?? "").replace("{}", () => name);
  const element = (tag, attributes = {}, text = "") => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };

  // A form waits for what is still on its way: its buttons rest meanwhile.
  function settle(form) {
    if (!form) return;
    const waits = queue.some((each) => each.form === form && !each.isDone) || form.querySelector("[data-busy]");
    for (const button of form.querySelectorAll('button[type="submit"]')) {
      if (waits) {
        button.disabled = true;
        button.dataset.waits = "";
      } else if ("waits" in button.dataset) {
        button.disabled = false;
        delete button.dataset.waits;
      }
    }
  }

  function refuse(item, sentence) {
    item.row.className = "upload upload-refused";
    item.row.removeAttribute("data-busy");
    const words = element("p", { class: "field-error", role: "alert" }, sentence);
    item.row.replaceChildren(words);
  }

  function begin(field, file) {
    const list = field.querySelector("[data-upload-list]");
    const row = element("li", { class: "upload", "data-busy": "" });
    const progress = element("progress", { max: "1", "aria-label": named(field.dataset.sending, file.name) });
    const stop = element("button", { class: "button button-quiet button-small", type: "button" }, "×");
    stop.setAttribute("aria-label", named(field.dataset.cancel, file.name));
    row.append(element("span", { class: "file-name" }, file.name), progress, stop);
    list.append(row);
    const item = { field, file, row, progress, form: field.closest("form"), request: null, isDone: false };
    stop.addEventListener("click", () => {
      item.isDone = true;
      item.request?.abort();
      row.remove();
      settle(item.form);
    });
    queue.push(item);
  }

  function send(item) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      item.request = request;
      request.open("POST", item.field.dataset.uploads);
      request.setRequestHeader("X-CSRFToken", token());
      request.setRequestHeader("HX-Request", "true");
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) item.progress.value = event.loaded / event.total;
      });
      request.addEventListener("loadend", () => {
        if (!item.isDone) receive(item, request);
        resolve();
      });
      const body = new FormData();
      body.append("files", item.file, item.file.name);
      request.send(body);
    });
  }

  function receive(item, request) {
    const elsewhere = request.getResponseHeader("HX-Redirect");
    if (request.status === 401 && elsewhere) {
      location.assign(elsewhere);
      return;
    }
    const answer = document.createElement("template");
    answer.innerHTML = request.responseText;
    const rows = [...answer.content.querySelectorAll("li.upload")];
    if (rows.length) item.row.replaceWith(...rows);
    else refuse(item, answer.content.querySelector("#error > p")?.textContent.trim() || named(item.field.dataset.failed, item.file.name));
  }

  async function work() {
    if (isSending) return;
    isSending = true;
    while (queue.length) {
      const item = queue[0];
      if (!item.isDone) await send(item);
      item.isDone = true;
      queue.shift();
      settle(item.form);
    }
    isSending = false;
  }

  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.type !== "file") return;
    const field = input.closest("[data-uploads]");
    if (!field || !input.files.length) return;
    for (const file of input.files) begin(field, file);
    // What is sent by itself must not go with the form once more.
    input.value = "";
    settle(field.closest("form"));
    work();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-discard]");
    if (!button) return;
    const row = button.closest("li");
    const next = row.nextElementSibling ?? row.previousElementSibling;
    const field = row.closest("[data-uploads]");
    row.remove();
    (next?.querySelector("button") ?? field?.querySelector('input[type="file"]'))?.focus();
    // Whether or not the answer comes: what is not sent with a form goes by itself after a day.
    fetch(button.dataset.discard, {
      method: "POST",
      headers: { "X-CSRFToken": token(), "HX-Request": "true" },
      credentials: "same-origin",
    }).catch(() => {});
  });

  // After a message was sent, or refused, the words that say so have the focus: the button that had it is gone. The form
  // that sent it is gone too, and htmx names what came in its place.
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.sourceElement?.id === "conversation") document.querySelector("#conversation [data-focus]")?.focus();
  });
})();
