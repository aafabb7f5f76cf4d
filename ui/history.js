// One thing that a person does is one entry in the browser's history.
//
// Streamlit adds an entry for a page, one for the link that the app then writes, and one for each link
// that follows while the page is computed. Back would lead through all of them.
if (!window.dvaeHistory) {
  window.dvaeHistory = true;
  let acted = false;
  for (const kind of ["pointerup", "click", "keydown"]) {
    addEventListener(kind, () => { acted = true; }, { capture: true, passive: true });
  }
  const add = history.pushState.bind(history);
  history.pushState = (state, title, url) => {
    const isLinkOfPage = !location.search && new URL(url, location).pathname === location.pathname;
    if (acted && !isLinkOfPage) add(state, title, url);
    else history.replaceState(state, title, url);
    acted = false;
  };
}
