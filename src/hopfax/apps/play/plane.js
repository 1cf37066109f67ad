// The energy over the plane, with patterns and a query to drag. Python sends `heights`, `minima` and `path`.
const NS = "http://www.w3.org/2000/svg";
const PIXELS = 320;
const BANDS = 18;
const PAUSE = 90; // milliseconds between two positions that are sent during a drag

function element(name, attributes, parent) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.appendChild(made);
  return made;
}

// The height between the points of the grid, by bilinear interpolation; row 0 is at the bottom.
function heightAt(heights, side, x, y) {
  const [u, v] = [x * (side - 1), y * (side - 1)];
  const [i, j] = [Math.min(Math.floor(v), side - 2), Math.min(Math.floor(u), side - 2)];
  const [a, b] = [v - i, u - j];
  const at = (row, column) => heights[row * side + column];
  const low = at(i, j) * (1 - b) + at(i, j + 1) * b;
  return low * (1 - a) + (at(i + 1, j) * (1 - b) + at(i + 1, j + 1) * b) * a;
}

function paint(canvas, heights) {
  const side = Math.round(Math.sqrt(heights.length));
  if (side < 2) return;
  const low = Math.min(...heights);
  const sorted = [...heights].sort((a, b) => a - b);
  const high = sorted[Math.floor(0.9 * sorted.length)];
  // The square root spreads the levels near the minima.
  const level = new Float32Array(PIXELS * PIXELS);
  for (let row = 0; row < PIXELS; row++) {
    for (let column = 0; column < PIXELS; column++) {
      const y = 1 - (row + 0.5) / PIXELS;
      const height = heightAt(heights, side, (column + 0.5) / PIXELS, y);
      level[row * PIXELS + column] = BANDS * Math.sqrt(Math.max(height - low, 0) / (high - low || 1));
    }
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(PIXELS, PIXELS);
  level.forEach((value, index) => {
    const band = Math.floor(value);
    const line = band !== Math.floor(level[index + 1] ?? value) || band !== Math.floor(level[index + PIXELS] ?? value);
    const depth = Math.max(1 - band / BANDS, 0);
    const alpha = Math.min(0.04 + 0.8 * depth + (line && band <= BANDS ? 0.14 : 0), 1);
    image.data.set([50, 120 + 30 * (1 - depth), 235, 255 * alpha], 4 * index);
  });
  context.putImageData(image, 0, 0);
}

function render({ model, el }) {
  const reach = model.get("reach");
  const points = model.get("points").map((point) => [...point]);
  const query = [...model.get("query")];
  let sent = 0;
  let timer = null;
  el.classList.add("hopfax-plane");
  const frame = document.createElement("div");
  frame.className = "frame";
  el.appendChild(frame);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = PIXELS;
  frame.appendChild(canvas);
  const box = `${-reach} ${-reach} ${2 * reach} ${2 * reach}`;
  const svg = element("svg", { viewBox: box, role: "group" }, frame);
  svg.setAttribute("aria-label", "Energy over the plane: drag patterns, or move them with the arrow keys");
  const trail = element("polyline", { class: "path" }, svg);
  const dots = element("g", { class: "dots" }, svg);
  const minima = element("g", { class: "minima" }, svg);

  function send() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      sent = Date.now();
      model.set("points", points.map((point) => [...point]));
      model.set("query", [...query]);
      model.save_changes();
    }, Math.max(0, PAUSE - (Date.now() - sent)));
  }
  function handle(point, label, kind) {
    const group = element("g", { tabindex: 0, class: kind, role: "button", "aria-label": label }, svg);
    element("circle", { r: 0.2, class: "grip" }, group); // larger than the mark, for fingers
    element("circle", { r: 0.085, class: "mark" }, group);
    const text = element("text", { y: 0.045 }, group);
    text.textContent = kind === "query" ? "?" : label.split(" ")[1];
    const put = () => group.setAttribute("transform", `translate(${point[0]} ${-point[1]})`);
    const move = (x, y) => {
      point[0] = Math.max(-reach, Math.min(reach, x));
      point[1] = Math.max(-reach, Math.min(reach, y));
      put();
      send();
    };
    let down = false;
    // A finger on a mark drags it; anywhere else it scrolls the page.
    group.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    group.addEventListener("pointerdown", (event) => {
      down = true;
      group.setPointerCapture(event.pointerId);
      event.preventDefault();
      group.focus();
    });
    group.addEventListener("pointermove", (event) => {
      if (!down) return;
      const shown = svg.getBoundingClientRect();
      const [u, v] = [(event.clientX - shown.left) / shown.width, (event.clientY - shown.top) / shown.height];
      move((2 * u - 1) * reach, (1 - 2 * v) * reach);
    });
    for (const end of ["pointerup", "pointercancel"]) group.addEventListener(end, () => (down = false));
    group.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      if (!(event.key in moves)) return;
      move(point[0] + 0.05 * moves[event.key][0], point[1] + 0.05 * moves[event.key][1]);
      event.preventDefault();
    });
    put();
  }
  points.forEach((point, index) => handle(point, `pattern ${index + 1}`, "pattern"));
  handle(query, "query", "query");

  const showHeights = () => paint(canvas, model.get("heights"));
  function showMinima() {
    minima.replaceChildren();
    for (const [x, y] of model.get("minima")) {
      element("path", { d: `M${x - 0.055} ${-y}h.11M${x} ${-y - 0.055}v.11` }, minima);
    }
  }
  function showPath() {
    const path = model.get("path");
    trail.setAttribute("points", path.map(([x, y]) => `${x},${-y}`).join(" "));
    dots.replaceChildren();
    for (const [x, y] of path) element("circle", { cx: x, cy: -y, r: 0.022 }, dots);
  }
  model.on("change:heights", showHeights);
  model.on("change:minima", showMinima);
  model.on("change:path", showPath);
  showHeights();
  showMinima();
  showPath();
}

export default { render };
