"""Encoding the images of a run's data set in the background, for every page that asks."""

from collections.abc import Hashable
from functools import partial

import streamlit as st

from dvae_core.analysis.encoded import DEFAULT_COUNT, EncodedSet, cached_encoded_set
from dvae_core.models.vae import VAE
from dvae_core.runs.run import Run
from ui.background import Work, Works
from ui.cached import images_of_run, modified_at, st_load_dataset
from ui.errors import plain

PATIENCE_SECONDS = 1.0
"""A page waits this long before it shows progress, so that small sets do not flicker."""
REFRESH_SECONDS = 1.0
MAX_KEPT_BYTES = 512 * 2**20
"""Limit on the encoded sets in the server's memory, beside the one in use."""
MAX_POSTERIOR_BYTES = 256 * 2**20
"""Limit on the posteriors in one download, which is made in the server's memory."""


def st_encoded_set(run: Run, count: int = DEFAULT_COUNT) -> EncodedSet:
    """`encoded_or_progress` for a page that shows nothing without the codes; arguments and errors
    as there."""
    encoded = encoded_or_progress(run, count)
    if encoded is None:
        st.stop()
    return encoded


def encoded_or_progress(run: Run, count: int = DEFAULT_COUNT) -> EncodedSet | None:
    """Codes of a run for images of its data set, encoded once in a thread.

    While it runs, the page shows how far it is, and a button to stop, and this returns None.
    Another tab that asks for the same set waits for the same thread. A stopped encoding gives a
    smaller sample, and the page offers to encode the rest.

    Args:
        run: with an encoder.
        count: number of images; all if there are fewer.

    Raises:
        CoreError: as in `cached_encoded_set`, once; the next call tries again.
    """
    dataset = st_load_dataset(run.record.dataset, run.record.image_size)
    key = str(run.path), modified_at(run), images_of_run(run), min(count, dataset.num_images)
    work = _encodings().find(key, partial(cached_encoded_set, run, dataset, count))
    if not work.wait(PATIENCE_SECONDS):
        st.fragment(run_every=REFRESH_SECONDS)(_show_progress)(work)
        return None
    if work.has_failed:
        _encodings().forget(key, work)
    encoded = work.result()
    if len(encoded) < encoded.origin.count:
        _offer_the_rest(encoded, key, work)
    return encoded


def posterior_bytes(model: VAE) -> int:
    """Size of the probabilities of all categories of one image, float32 (N, K); 0 without
    categories."""
    return 4 * model.latents.num_latents * (model.latents.num_categories or 0)


@st.cache_resource
def _encodings() -> Works[EncodedSet]:
    return Works(MAX_KEPT_BYTES, lambda encoded: encoded.num_bytes)


def _show_progress(work: Work[EncodedSet]) -> None:
    if not work.is_running:
        st.rerun(scope="app")
    share, words = 0.0, "Waiting for another encoding to end."
    if work.total:
        share = work.done / work.total
        words = f"Encoding: {work.done:,} of {work.total:,} images."
    st.progress(share, plain(words))
    st.button(
        "Stop",
        icon=":material/stop:",
        on_click=work.stop,
        key="encoding-stop",
        help="The page then shows the images that are encoded so far, a smaller random sample.",
    )
    # Instead of the next refresh, so that the page follows at once.
    if work.wait(0.8 * REFRESH_SECONDS):
        st.rerun(scope="app")


def _offer_the_rest(encoded: EncodedSet, key: Hashable, work: Work[EncodedSet]) -> None:
    st.info(
        f"The encoding was stopped: this page shows {len(encoded):,} of {encoded.origin.count:,} "
        f"images, drawn at random.",
        icon=":material/hourglass_disabled:",
    )
    st.button(
        f"Encode all {encoded.origin.count:,}",
        icon=":material/play_arrow:",
        on_click=_encodings().forget,
        args=(key, work),
        key="encoding-rest",
    )
