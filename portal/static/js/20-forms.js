// Forms: sent once, warned about when left unsaved, and led to what is wrong.
(() => {
  "use strict";
  document.documentElement.classList.add("has-script");

  const isNative = (form) => !form.matches("[hx-get], [hx-post], [hx-put], [hx-patch], [hx-delete]");
  const submitsOf = (form) =>
    [...form.elements].filter((control) => control instanceof HTMLButtonElement && control.type === "submit");
  const held = new Set();

  // A form is held after it was sent, a tick later, so that the button that sent it is still in what is sent.
  const hold = (form) => {
    form.setAttribute("aria-busy", "true");
    for (const button of submitsOf(form).filter((candidate) => !candidate.disabled)) {
      button.disabled = true;
      held.add(button);
    }
  };
  const release = (form) => {
    form.removeAttribute("aria-busy");
    for (const button of submitsOf(form).filter((candidate) => held.delete(candidate))) button.disabled = false;
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement)) return;
    setTimeout(() => { if (!event.defaultPrevented || !isNative(form)) delete form.dataset.dirty; });
    if (form.method === "post" && isNative(form)) setTimeout(() => !event.defaultPrevented && hold(form));
  });
  // A form htmx sends: only when it was submitted, not when it asks for a preview of what is typed.
  const formOf = (event) => {
    const { sourceElement, sourceEvent } = event.detail.ctx;
    return sourceElement instanceof HTMLFormElement && sourceEvent?.type === "submit" ? sourceElement : null;
  };
  document.addEventListener("htmx:before:request", (event) => {
    const form = formOf(event);
    if (form && event.detail.ctx.request.method !== "GET") hold(form);
  });
  document.addEventListener("htmx:finally:request", (event) => {
    const form = formOf(event);
    if (!form) return;
    release(form);
    const status = event.detail.ctx.response?.status;
    if (form.matches("[data-guard]") && !(status < 400)) form.dataset.dirty = "";
  });
  // Back from the next page, out of the browser's memory: the form may be sent again.
  window.addEventListener("pageshow", () => document.querySelectorAll('form[aria-busy="true"]').forEach(release));

  const markDirty = (event) => {
    const form = event.target.closest?.("form[data-guard]");
    if (form) form.dataset.dirty = "";
  };
  document.addEventListener("input", markDirty);
  document.addEventListener("change", markDirty);
  document.addEventListener("sorted", markDirty);
  window.addEventListener("beforeunload", (event) => {
    if (document.querySelector("form[data-guard][data-dirty]")) event.preventDefault();
  });

  const focusErrors = (root) => root.querySelector?.("[data-focus]")?.focus();
  document.addEventListener("DOMContentLoaded", () => focusErrors(document));
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.response?.status === 422) focusErrors(document);
  });
})();
