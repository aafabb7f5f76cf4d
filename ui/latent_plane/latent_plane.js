// Panels of one grid of images: the point nearest to the pointer shows its image, and is marked in
// every panel. Drawings come from the server; all other text is set as text.

const TILE_PX = 96;
const NEAR = 18; // units of the drawing, within which a point answers
const STEPS = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

export default function latentPlane({ data, parentElement }) {
  if (!data) return undefined;
  const root = element("div", "planes", { "data-testid": "latent-planes" });
  const panels = element("div", "panels");
  panels.style.setProperty("--columns", data.columns);
  const tip = element("div", "tip", { "data-testid": "plane-tip", role: "status", hidden: "" });
  const image = element("div", "image");
  const label = element("div", "label");
  tip.append(image, label);
  const [rows, columns] = data.grid;
  image.style.backgroundImage = `url(${data.sprite})`;
  image.style.backgroundSize = `${columns * TILE_PX}px ${rows * TILE_PX}px`;

  const drawn = data.panels.map((panel, index) => {
    const figure = element("figure", "panel");
    const drawing = element("div", "drawing", { tabindex: "0", "data-testid": `plane-${index}` });
    drawing.innerHTML = panel.svg;
    const svg = drawing.firstElementChild;
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    mark.setAttribute("class", "here");
    mark.setAttribute("r", "5");
    mark.setAttribute("visibility", "hidden");
    svg.append(mark);
    figure.append(text("div", "title", panel.title), drawing, text("div", "note", panel.note));
    panels.append(figure);
    return { drawing, svg, mark, points: panel.points };
  });
  root.append(panels, tip);
  parentElement.querySelector(".planes")?.remove();
  parentElement.append(root);

  let at = null;
  function show(panel, index) {
    at = index;
    for (const each of drawn) {
      each.mark.setAttribute("cx", each.points[index][0]);
      each.mark.setAttribute("cy", each.points[index][1]);
      each.mark.setAttribute("visibility", "visible");
    }
    const row = Math.floor(index / columns);
    image.style.backgroundPosition = `${-(index % columns) * TILE_PX}px ${-row * TILE_PX}px`;
    label.textContent = data.labels[index];
    tip.dataset.index = index;
    tip.hidden = false;
    const box = panel.svg.getBoundingClientRect();
    const around = root.getBoundingClientRect();
    const scale = box.width / panel.svg.viewBox.baseVal.width;
    const x = box.left - around.left + panel.points[index][0] * scale;
    const y = box.top - around.top + panel.points[index][1] * scale;
    const right = x + 16 + tip.offsetWidth > around.width;
    tip.style.left = `${Math.max(0, right ? x - 16 - tip.offsetWidth : x + 16)}px`;
    tip.style.top = `${y + 16}px`;
  }
  function hide() {
    tip.hidden = true;
    for (const each of drawn) each.mark.setAttribute("visibility", "hidden");
  }

  for (const panel of drawn) {
    panel.drawing.onpointermove = panel.drawing.onpointerdown = (event) => {
      const box = panel.svg.getBoundingClientRect();
      const scale = panel.svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale;
      const y = (event.clientY - box.top) * scale;
      const index = nearest(panel.points, x, y);
      const [px, py] = panel.points[index];
      if (Math.hypot(px - x, py - y) < NEAR) show(panel, index);
      else hide();
    };
    panel.drawing.onpointerleave = hide;
    panel.drawing.onblur = hide;
    panel.drawing.onkeydown = (event) => {
      if (event.key === "Escape") return hide();
      const step = STEPS[event.key];
      if (!step) return undefined;
      event.preventDefault();
      // The first factor runs down the grid of images, and mostly to the right in the plane.
      const before = at ?? Math.floor(rows / 2) * columns + Math.floor(columns / 2);
      const row = Math.min(rows - 1, Math.max(0, Math.floor(before / columns) + step[0]));
      const column = Math.min(columns - 1, Math.max(0, (before % columns) + step[1]));
      return show(panel, row * columns + column);
    };
  }
  return undefined;
}

function nearest(points, x, y) {
  let best = 0;
  let least = Infinity;
  points.forEach(([px, py], index) => {
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) [best, least] = [index, distance];
  });
  return best;
}

function element(tag, className, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function text(tag, className, content) {
  const made = element(tag, className);
  made.textContent = content;
  return made;
}
