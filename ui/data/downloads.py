"""Downloads of published data sets; one continues when the page is closed."""

from dataclasses import dataclass
from threading import Thread

import streamlit as st

from dvae_core.data.originals.download import UntrustedFileError, download
from dvae_core.errors import CoreError
from ui.errors import errors_shown, plain

REFRESH_SECONDS = 1.0


class _Stopped(Exception):
    """A person stopped the download."""


@dataclass
class _Download:
    """What a thread does, for every session: bytes done and in all of the current file."""

    done: int = 0
    total: int = 0
    error: str = ""
    untrusted: UntrustedFileError | None = None
    is_running: bool = True
    is_stopped: bool = False

    def run(self, name: str, trust_hash: str | None) -> None:
        try:
            download(name, self._progress, trust_hash)
        except _Stopped:
            pass
        except UntrustedFileError as error:
            self.untrusted = error
        except (CoreError, OSError) as error:
            self.error = str(error)
        finally:
            self.is_running = False

    def _progress(self, done: int, total: int) -> None:
        if self.is_stopped:
            raise _Stopped
        self.done, self.total = done, total


_downloads: dict[str, _Download] = {}


def start_download(name: str, trust_hash: str | None = None) -> None:
    """Download a data set in the background, or go on with a download that was stopped.

    Args:
        name: of the data set.
        trust_hash: as in `download`.
    """
    known = _downloads.get(name)
    if known is None or not known.is_running:
        _downloads[name] = _Download()
        run = _downloads[name].run
        Thread(target=run, args=(name, trust_hash), name=f"download {name}", daemon=True).start()


def show_download(name: str) -> None:
    """A button that downloads a data set, or how far its download is."""
    known = _downloads.get(name)
    if known is not None and known.is_running:
        st.fragment(run_every=REFRESH_SECONDS)(_show_progress)(name)
        return
    if known is not None and known.error:
        st.error(plain(known.error), icon=":material/error:")
    if known is not None and known.untrusted is not None:
        _show_untrusted(name, known.untrusted)
    else:
        st.button(
            "Resume the download" if known is not None else "Download",
            icon=":material/download:",
            on_click=start_download,
            args=(name,),
            key="data-download",
            help="It goes on when you close this page. On another machine, download with the "
            "command below and copy the file.",
        )
    st.code(f"python -m dvae_core download {name}", language=None)


def _show_untrusted(name: str, error: UntrustedFileError) -> None:
    """Whether to use a file whose hash is not the published one."""
    st.warning(plain(str(error)), icon=":material/warning:")
    with st.popover("Use this file", icon=":material/verified:"):
        st.write(
            "The app cannot tell whether this is the published file. Use it if its publisher "
            "gives this hash, or if you trust where it comes from."
        )
        st.code(f"MD5     {error.hashes.md5}\nSHA-256 {error.hashes.sha256}", language=None)
        st.button(
            "I trust this file",
            on_click=start_download,
            args=(name, error.hashes.md5),
            key="data-download-trust",
        )
    st.button(
        "Delete it and download again",
        icon=":material/delete:",
        on_click=_download_again,
        args=(name, error),
        key="data-download-again",
    )


def _download_again(name: str, error: UntrustedFileError) -> None:
    with errors_shown():
        error.path.unlink(missing_ok=True)
        start_download(name)


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
