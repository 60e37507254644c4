// The small sign-in page beside the form of a portal domain shows what is being typed.
(() => {
  "use strict";
  document.addEventListener("input", (event) => {
    const { previewInput } = event.target.dataset ?? {};
    const preview = previewInput && document.querySelector("[data-preview]");
    if (!preview) return;
    const { value } = event.target;
    if (previewInput === "brand") preview.querySelector("[data-preview-brand]").textContent = value || "Your brand";
    if (previewInput === "address") {
      preview.querySelector("[data-preview-address]").textContent = value.replace(/^https?:\/\//i, "").replace(/\/$/, "");
    }
    if (previewInput === "accent" && /^#[0-9a-f]{6}$/i.test(value)) {
      for (const shape of preview.querySelectorAll("[data-preview-fill]")) shape.setAttribute("fill", value);
    }
  });
})();
