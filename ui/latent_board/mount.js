// Streamlit's way to a board: it calls this with data, and hears of releases by triggers.

const boards = new WeakMap(); // by the element that Streamlit mounts into

export default function latentBoard({ data, parentElement, setTriggerValue }) {
  let mounted = boards.get(parentElement);
  if (!mounted) {
    mounted = { calls: 0, tell: null };
    mounted.board = new Board(parentElement, {
      release: (event) => mounted.tell("release", event),
      need: (need) => mounted.tell("need", need),
    });
    boards.set(parentElement, mounted);
    // Streamlit fades what waits for a rerun. The board says so itself, and stays in use.
    const container = parentElement.host?.closest('[data-testid="stElementContainer"]');
    container?.style.setProperty("opacity", "1", "important");
  }
  // Streamlit calls this again for new data and for a new theme, and calls the clean-up of a call
  // that was overtaken while it loaded: only the clean-up of the last call means it.
  const call = ++mounted.calls;
  mounted.tell = setTriggerValue;
  mounted.board.receive(data?.[0]);
  return () => {
    if (call !== mounted.calls) return;
    mounted.board.remove();
    boards.delete(parentElement);
  };
}
