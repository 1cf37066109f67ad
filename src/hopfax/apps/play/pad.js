// A digit to draw on. `ink`: 0 to 1 for each of 8x8 pixels; `known`: whether the memory is given the pixel.
const NS = "http://www.w3.org/2000/svg";
const SIDE = 8;
const TOOLS = {
  "draw black": { ink: 1, known: true },
  "draw white": { ink: 0, known: true },
  "mark unknown": { known: false },
  "mark known": { known: true },
};

function element(name, attributes, parent) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.appendChild(made);
  return made;
}

function render({ model, el }) {
  let tool = "mark unknown";
  let drawing = false;
  let at = 0;
  const ink = [...model.get("ink")];
  const known = [...model.get("known")];
  el.classList.add("hopfax-pad");

  const svg = element("svg", { viewBox: "0 0 8 8", tabindex: 0, role: "application" }, el);
  svg.setAttribute("aria-label", "Pixels of the digit: arrow keys move, space applies the selected tool");
  const cells = ink.map((_, index) => {
    const box = { x: index % SIDE, y: Math.floor(index / SIDE), width: 1, height: 1 };
    return element("rect", { ...box, class: "cell" }, svg);
  });
  const marks = cells.map((_, index) => {
    const [x, y] = [index % SIDE, Math.floor(index / SIDE)];
    return element("path", { d: `M${x + 0.25} ${y + 0.25}l.5 .5m-.5 0l.5 -.5`, class: "unknown" }, svg);
  });
  const cursor = element("rect", { width: 1, height: 1, class: "cursor" }, svg);

  function show() {
    cells.forEach((cell, index) => {
      cell.style.fillOpacity = known[index] ? 0.04 + 0.96 * ink[index] : 0;
      marks[index].style.display = known[index] ? "none" : "";
    });
    cursor.setAttribute("x", at % SIDE);
    cursor.setAttribute("y", Math.floor(at / SIDE));
  }
  function apply(index) {
    const change = TOOLS[tool];
    if ("ink" in change) ink[index] = change.ink;
    known[index] = change.known;
    at = index;
    show();
  }
  function send() {
    model.set("ink", [...ink]);
    model.set("known", [...known]);
    model.save_changes();
  }
  function indexAt(event) {
    const box = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((v) => Math.floor((v / box.width) * SIDE));
    return x >= 0 && x < SIDE && y >= 0 && y < SIDE ? y * SIDE + x : null;
  }
  svg.addEventListener("pointerdown", (event) => {
    drawing = true;
    svg.setPointerCapture(event.pointerId);
    apply(indexAt(event) ?? at);
  });
  svg.addEventListener("pointermove", (event) => {
    const index = indexAt(event);
    if (drawing && index !== null) apply(index);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, () => {
      if (drawing) send();
      drawing = false;
    });
  }
  svg.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") {
      apply(at);
      send();
    } else if (event.key in moves) {
      const [x, y] = [(at % SIDE) + moves[event.key][0], Math.floor(at / SIDE) + moves[event.key][1]];
      if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) at = y * SIDE + x;
      show();
    } else return;
    event.preventDefault();
  });

  const bar = document.createElement("div");
  bar.className = "tools";
  el.appendChild(bar);
  const buttons = Object.keys(TOOLS).map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.onclick = () => {
      tool = name;
      buttons.forEach((other) => other.setAttribute("aria-pressed", other.textContent === tool));
    };
    button.setAttribute("aria-pressed", name === tool);
    bar.appendChild(button);
    return button;
  });
  const clear = document.createElement("button");
  clear.type = "button";
  clear.textContent = "clear all";
  clear.onclick = () => {
    ink.fill(0);
    known.fill(true);
    buttons[0].click();
    show();
    send();
  };
  bar.appendChild(clear);
  show();
}

export default { render };
