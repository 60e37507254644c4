/* A field in which a signature is drawn: its strokes go with the form as whole points of 600 by 200. Typing does too,
   and without script it is all there is. */
(() => {
  "use strict";

  const WIDTH = 600;
  const HEIGHT = 200;
  const MOST_POINTS = 3900;
  const LEAST_STEP = 3; // points nearer than this to the last one add nothing to the line

  function begin(place) {
    const pad = place.querySelector(".signing-pad");
    const canvas = pad.querySelector("canvas");
    const kept = place.querySelector("input[name=drawn]");
    const pen = canvas.getContext("2d");
    let strokes = [];
    let stroke = null;
    pad.hidden = false;

    const bounded = (value, most) => Math.max(0, Math.min(most, Math.round(value)));
    const count = () => strokes.reduce((sum, each) => sum + each.length / 2, 0);

    function point(event) {
      const box = canvas.getBoundingClientRect();
      return [
        bounded(((event.clientX - box.left) / box.width) * WIDTH, WIDTH),
        bounded(((event.clientY - box.top) / box.height) * HEIGHT, HEIGHT),
      ];
    }

    function draw() {
      pen.clearRect(0, 0, WIDTH, HEIGHT);
      pen.strokeStyle = getComputedStyle(canvas).color;
      pen.lineWidth = 3;
      pen.lineCap = pen.lineJoin = "round";
      for (const each of strokes) {
        pen.beginPath();
        pen.moveTo(each[0], each[1]);
        for (let at = 2; at < each.length; at += 2) pen.lineTo(each[at], each[at + 1]);
        pen.stroke();
      }
    }

    function keep() {
      kept.value = strokes.length ? JSON.stringify(strokes) : "";
    }

    canvas.addEventListener("pointerdown", (event) => {
      if (count() >= MOST_POINTS) return;
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      stroke = point(event);
      strokes.push(stroke);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!stroke || count() >= MOST_POINTS) return;
      const [x, y] = point(event);
      const [lastX, lastY] = stroke.slice(-2);
      if (Math.hypot(x - lastX, y - lastY) < LEAST_STEP) return;
      stroke.push(x, y);
      draw();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => {
        stroke = null;
        keep();
      });
    }
    place.querySelector("[data-signature-clear]").addEventListener("click", () => {
      strokes = [];
      draw();
      keep();
    });
    kept.value = "";
  }

  for (const place of document.querySelectorAll("[data-signature]")) begin(place);
})();
