// Every request htmx makes carries the token of this page's session.
(() => {
  "use strict";
  const token = () => document.querySelector('meta[name="csrf-token"]')?.content;
  document.addEventListener("htmx:config:request", (event) => {
    const { request } = event.detail.ctx;
    const value = token();
    if (value && request.method !== "GET") request.headers["X-CSRFToken"] = value;
  });
})();
