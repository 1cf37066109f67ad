// A digit to draw on and to destroy. `ink`: 0 to 1 for each of 8x8 pixels; `known`: which were not destroyed.
const NS = "http://www.w3.org/2000/svg";
const SIDE = 8;
const TOOLS = {
  draw: { ink: 1, known: true },
  erase: { ink: 0, known: true },
  destroy: { known: false },
  restore: { known: true },
};

function element(name, attributes, parent) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.appendChild(made);
  return made;
}

function render({ model, el }) {
  let tool = "destroy";
  let down = false;
  let at = 0;
  const ink = [...model.get("ink")];
  const known = [...model.get("known")];
  el.classList.add("hopfax-pad");

  const svg = element("svg", { viewBox: "0 0 8 8", tabindex: 0, role: "application" }, el);
  svg.setAttribute("aria-label", "Pixels of the digit: arrow keys move, space uses the chosen tool");
  const cells = ink.map((_, place) => {
    const where = { x: place % SIDE, y: Math.floor(place / SIDE), width: 1, height: 1 };
    return element("rect", { ...where, class: "cell" }, svg);
  });
  const marks = cells.map((_, place) => {
    const [x, y] = [place % SIDE, Math.floor(place / SIDE)];
    return element("path", { d: `M${x + 0.25} ${y + 0.25}l.5 .5m-.5 0l.5 -.5`, class: "gone" }, svg);
  });
  const cursor = element("rect", { width: 1, height: 1, class: "cursor" }, svg);

  function show() {
    cells.forEach((cell, place) => {
      cell.style.fillOpacity = known[place] ? 0.04 + 0.96 * ink[place] : 0;
      marks[place].style.display = known[place] ? "none" : "";
    });
    cursor.setAttribute("x", at % SIDE);
    cursor.setAttribute("y", Math.floor(at / SIDE));
  }
  function use(place) {
    const change = TOOLS[tool];
    if ("ink" in change) ink[place] = change.ink;
    known[place] = change.known;
    at = place;
    show();
  }
  function send() {
    model.set("ink", [...ink]);
    model.set("known", [...known]);
    model.save_changes();
  }
  function under(event) {
    const box = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((v) => Math.floor((v / box.width) * SIDE));
    return x >= 0 && x < SIDE && y >= 0 && y < SIDE ? y * SIDE + x : null;
  }
  svg.addEventListener("pointerdown", (event) => {
    down = true;
    svg.setPointerCapture(event.pointerId);
    use(under(event) ?? at);
  });
  svg.addEventListener("pointermove", (event) => {
    const place = under(event);
    if (down && place !== null) use(place);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, () => {
      if (down) send();
      down = false;
    });
  }
  svg.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") {
      use(at);
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
