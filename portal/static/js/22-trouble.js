// A request that went wrong leaves what is shown as it is, and what was typed: whoever asked is told, and what the page
// asked for by itself is asked for again (60-live.js). A form that is refused comes back with its reasons instead.
(() => {
  "use strict";

  const announcer = document.querySelector("#announcer");
  const isRefusedForm = (status) => status === 409 || status === 422;
  const isTrouble = (status, isRead) => status >= 500 || status === 429 || (!isRead && status >= 400 && !isRefusedForm(status));

  // Ours say in words what the matter is; a proxy's page says it to somebody else.
  function wordsOf(text) {
    const error = new DOMParser().parseFromString(text, "text/html").querySelector("#error");
    const words = [...(error?.querySelectorAll("h1, p") ?? [])].map((each) => each.textContent.trim().replace(/\.$/, "") + ".");
    return words.join(" ") || announcer.dataset.trouble;
  }

  // An open dialog covers the page: what is asked for in it is answered in it.
  function placeFor(element) {
    const dialog = element.closest("dialog[open]");
    if (!dialog) return document.querySelector("#toasts");
    const own = dialog.querySelector(".toasts") ?? dialog.appendChild(document.createElement("div"));
    own.className = "toasts";
    own.setAttribute("role", "status");
    return own;
  }

  function tell(element, words) {
    const toasts = placeFor(element);
    if (!toasts) {
      announcer.textContent = words;
      return;
    }
    const toast = document.createElement("p");
    toast.className = "toast";
    toast.dataset.trouble = "";
    toast.tabIndex = 0;
    toast.textContent = words;
    toasts.append(toast);
  }

  function missed({ sourceElement, sourceEvent }, words) {
    if (sourceEvent?.type === "live") sourceElement.dispatchEvent(new CustomEvent("live:missed", { bubbles: true }));
    else tell(sourceElement, words);
  }

  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceEvent?.type !== "live") document.querySelectorAll(".toast[data-trouble]").forEach((old) => old.remove());
    if (ctx.hx.redirect || !isTrouble(ctx.response.status, ctx.request.method === "GET")) return;
    event.preventDefault(); // nothing is put in the place of what stands there
    missed(ctx, wordsOf(ctx.text));
  });

  // No answer at all: the network, or the wait was too long.
  document.addEventListener("htmx:error", (event) => {
    const { ctx } = event.detail;
    if (ctx && !ctx.response) missed(ctx, announcer.dataset.trouble);
  });
})();
