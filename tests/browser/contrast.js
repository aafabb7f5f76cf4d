// Texts of a page whose colour stands out from their ground by less than WCAG asks for: 4.5:1, or
// 3:1 from 24 pixels (18.66 in bold) on. What is disabled must be visible. What is hidden does not
// count, nor do numbers on the cells of a heat map, which tests/figures looks at, and the sign that a
// page is at work, which comes and goes.
() => {
  const KNOB_PX = 64;
  const DISABLED = 1.5;
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const parsed = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, ground) =>
    [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * ground[i]).concat(1);
  const luminance = (color) => {
    const [red, green, blue] = color
      .slice(0, 3)
      .map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const up = (node) => node.parentElement ?? node.getRootNode().host ?? null;
  const groundOf = (node) => {
    const layers = [];
    const { left, right, top, bottom } = node.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    for (let at = node; at; at = up(at)) {
      const box = at.getBoundingClientRect();
      const isOutside = x < box.left || x > box.right || y < box.top || y > box.bottom;
      // A label may hang out of what it belongs to, such as the knob of a slider.
      if (isOutside && Math.max(box.width, box.height) < KNOB_PX) continue;
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null;
      layers.push(parsed(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255, 1]);
  };
  const found = new Map();
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.shadowRoot) look(node.shadowRoot);
      const text = [...node.childNodes]
        .filter((child) => child.nodeType === Node.TEXT_NODE)
        .map((child) => child.data.trim())
        .join(" ")
        .trim();
      if (!text || node.closest("style, script, [aria-hidden=true], .textpoint, [data-testid=stStatusWidget]")) continue;
      const box = node.getBoundingClientRect();
      const style = getComputedStyle(node);
      if (!box.width || !box.height || box.right <= 0 || box.bottom <= 0 || style.visibility === "hidden" || style.clipPath !== "none") continue;
      const ground = groundOf(node);
      if (!ground) continue;
      const isDrawing = node instanceof SVGElement;
      const color = parsed(isDrawing ? style.fill : style.color);
      for (let at = node; at; at = up(at)) color[3] *= Number(getComputedStyle(at).opacity);
      if (isDrawing) color[3] *= Number(style.fillOpacity);
      if (color[3] === 0) continue;
      const [light, dark] = [luminance(over(color, ground)), luminance(ground)].sort((a, b) => b - a);
      const ratio = (light + 0.05) / (dark + 0.05);
      const scale = isDrawing ? (node.getScreenCTM?.()?.a ?? 1) : 1;
      const size = scale * parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const isDisabled = node.closest("[disabled], [aria-disabled=true]");
      if (ratio < (isDisabled ? DISABLED : isLarge ? 3 : 4.5)) {
        found.set(`${ratio.toFixed(2)} ${text.slice(0, 40)}`, node.className?.baseVal ?? String(node.className));
      }
    }
  };
  look(document.body);
  return [...found].map(([what, where]) => `${what} (${where.slice(0, 60)})`);
};
