"""Downloads of published data sets; one continues when the page is closed."""

from dataclasses import dataclass
from threading import Thread

import streamlit as st

from dvae_core.data.originals.download import download
from dvae_core.errors import CoreError
from ui.errors import plain

REFRESH_SECONDS = 1.0


class _Stopped(Exception):
    """A person stopped the download."""


@dataclass
class _Download:
    """What a thread does, for every session: bytes done and in all of the current file."""

    done: int = 0
    total: int = 0
    error: str = ""
    is_running: bool = True
    is_stopped: bool = False

    def run(self, name: str) -> None:
        try:
            download(name, self._progress)
        except _Stopped:
            pass
        except (CoreError, OSError) as error:
            self.error = str(error)
        finally:
            self.is_running = False

    def _progress(self, done: int, total: int) -> None:
        if self.is_stopped:
            raise _Stopped
        self.done, self.total = done, total


_downloads: dict[str, _Download] = {}


def start_download(name: str) -> None:
    """Download a data set in the background, or go on with a download that was stopped."""
    known = _downloads.get(name)
    if known is None or not known.is_running:
        _downloads[name] = _Download()
        run = _downloads[name].run
        Thread(target=run, args=(name,), name=f"download {name}", daemon=True).start()


def show_download(name: str) -> None:
    """A button that downloads a data set, or how far its download is."""
    known = _downloads.get(name)
    if known is not None and known.is_running:
        st.fragment(run_every=REFRESH_SECONDS)(_show_progress)(name)
        return
    if known is not None and known.error:
        st.error(plain(known.error), icon=":material/error:")
    st.button(
        "Resume the download" if known is not None else "Download",
        icon=":material/download:",
        on_click=start_download,
        args=(name,),
        key="data-download",
        help="It goes on when you close this page. On another machine, download with the command "
        "below and copy the file.",
    )
    st.code(f"python -m dvae_core download {name}", language=None)


def _show_progress(name: str) -> None:
    known = _downloads[name]
    if not known.is_running:
        st.rerun(scope="app")
    megabytes = f"{known.done / 1e6:,.0f} of {known.total / 1e6:,.0f} MB"
    st.progress(
        known.done / known.total if known.total else 0.0,
        megabytes if known.total else "connecting to the server",
    )
    st.button(
        "Stop",
        icon=":material/stop:",
        on_click=_stop,
        args=(known,),
        key="data-download-stop",
        help="What is downloaded is kept.",
    )


def _stop(known: _Download) -> None:
    known.is_stopped = True
