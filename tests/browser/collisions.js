// Pairs of texts of a page that cover each other by more than a quarter of the smaller one.
() => {
  const texts = [];
  const up = (node) => node.parentElement ?? node.getRootNode().host ?? null;
  // The part of a text that no element around it cuts off.
  const seen = (box, node) => {
    let { left, right, top, bottom } = box;
    for (let at = node; at; at = up(at)) {
      if (getComputedStyle(at).overflow === "visible" || at instanceof SVGElement) continue;
      const outer = at.getBoundingClientRect();
      [left, right] = [Math.max(left, outer.left), Math.min(right, outer.right)];
      [top, bottom] = [Math.max(top, outer.top), Math.min(bottom, outer.bottom)];
    }
    return new DOMRect(left, top, Math.max(0, right - left), Math.max(0, bottom - top));
  };
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.shadowRoot) look(node.shadowRoot);
      // A formula's letters stand above and below each other.
      if (node.closest?.("style, script, .katex, [aria-hidden=true]")) continue;
      for (const child of node.childNodes) {
        if (child.nodeType !== Node.TEXT_NODE || !child.data.trim()) continue;
        const range = document.createRange();
        range.selectNodeContents(child);
        const style = getComputedStyle(node);
        if (style.visibility === "hidden" || style.clipPath !== "none") continue;
        for (const line of range.getClientRects()) {
          const box = seen(line, node);
          if (box.width > 1 && box.height > 1) texts.push({ text: child.data.trim(), node, box });
        }
      }
    }
  };
  look(document.body);
  const found = [];
  texts.forEach((one, index) => {
    for (const other of texts.slice(index + 1)) {
      if (one.node === other.node) continue;
      const [a, b] = [one.box, other.box];
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const smaller = Math.min(a.width * a.height, b.width * b.height);
      if (width > 0 && height > 0 && width * height > smaller / 4) found.push(`${one.text} | ${other.text}`);
    }
  });
  return found;
}
