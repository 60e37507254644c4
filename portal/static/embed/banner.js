/* The one script tag of a status banner:
     <script src="https://status.example.com/status/embed.js" async></script>
   It puts a frame in its own place, with the height that the frame asks for, and leaves the page around it alone.
   data-lang="de", data-theme="dark" or "light", data-well="show" (says something while all is well, too),
   data-title="…" (what a screen reader calls it), data-place="#id" (where the frame goes, else behind the script). */
(() => {
  "use strict";
  const MOST = 600;
  const script = document.currentScript;
  if (!script || !script.src) return;
  const origin = new URL(script.src).origin;
  const address = new URL("/status/embed", origin);
  for (const name of ["lang", "theme", "well"]) {
    if (script.dataset[name]) address.searchParams.set(name, script.dataset[name]);
  }
  const frame = document.createElement("iframe");
  frame.src = address.href;
  frame.title = script.dataset.title || "Service status";
  frame.referrerPolicy = "no-referrer";
  const show = (height) => {
    frame.style.height = `${height}px`;
    frame.style.visibility = height ? "visible" : "hidden";
  };
  Object.assign(frame.style, { border: "0", width: "100%", display: "block", colorScheme: "normal" });
  show(0);
  window.addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || event.origin !== origin) return;
    const said = event.data;
    if (!said || said.signalbox !== "height" || !Number.isInteger(said.height)) return;
    if (said.height >= 0) show(Math.min(said.height, MOST));
  });
  const put = () => {
    const place = script.dataset.place ? document.querySelector(script.dataset.place) : null;
    if (place) place.append(frame);
    else script.after(frame);
  };
  if (script.dataset.place && document.readyState === "loading") document.addEventListener("DOMContentLoaded", put);
  else put();
})();
