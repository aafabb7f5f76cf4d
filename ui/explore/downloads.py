"""What a person can carry away from a board: sheets, animations, codes, a link."""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st
from torch.nn.utils.rnn import pad_sequence

from dvae_core.analysis.code_files import code_file, posterior_source
from dvae_core.analysis.encoded import DEFAULT_COUNT
from dvae_core.data.dataset import Dataset
from dvae_core.errors import ConfigError
from dvae_core.figures.animation import FPS_RANGE
from dvae_core.figures.fonts import undrawable
from dvae_core.figures.traversal_export import (
    COUNT_RANGE,
    SCALE_RANGE,
    Traversals,
    TraversalStart,
    check_size,
    chosen_latents,
    default_count,
    render_traversals,
    traversals_from,
)
from dvae_core.runs.run import Run
from ui.boards import BoardView, values_on_board
from ui.cached import COMPUTING
from ui.encoding import MAX_POSTERIOR_BYTES, encoded_or_progress, posterior_bytes
from ui.errors import plain
from ui.page_download import show_page_download
from ui.start_picker import ResolvedStart
from ui.widgets import whole_number

FORMATS = {"Sheet": ("pdf", "svg", "png"), "Animation": ("gif", "apng")}
_MOST_LATENTS = 16  # chosen at first


def show_downloads(
    view: BoardView, resolved: ResolvedStart, run: Run, dataset: Dataset | None
) -> None:
    """Download buttons for the board as it stands; nothing is decoded before a click. The address
    bar holds the link."""
    st.subheader("Traversals", divider=False)
    _show_traversals(view, resolved, run)
    st.subheader("Codes", divider=False)
    with st.container(horizontal=True):
        name = f"{run.id}-code"
        _download("This image", "csv", name, lambda: _code_as_csv(view).encode())
        _download("This image", "npz", name, lambda: _code_as_npz(view))
    if dataset is not None and view.model.encoder is not None:
        _show_codes(view, run, dataset)
    st.subheader("Web page", divider=False)
    show_page_download([run])
    st.caption(
        "The address of this page restores run, start and code in another browser, but not an "
        "uploaded image."
    )


def _show_traversals(view: BoardView, resolved: ResolvedStart, run: Run) -> None:
    on_board = list(values_on_board(view))
    active = [i for i in on_board if i in chosen_latents(view.profile, "active")]
    latents = st.multiselect(
        "Latents",
        on_board,
        (active or on_board)[:_MOST_LATENTS],
        format_func=view.names.words,
        key=f"export-latents-{run.id}",
        help="Rows of a sheet, from top to bottom. At first those that hold more than 0.05 "
        "nats about an image.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Format", list(FORMATS), default="Sheet", required=True, key="export-format"
        )
        count = whole_number(
            "Images of each latent",
            *COUNT_RANGE,
            default=default_count(FORMATS[kind][0]),
            width=170,
            key=f"export-count-{kind}",
        )
        scale = whole_number(
            "Scale",
            *SCALE_RANGE,
            placeholder="auto",
            width=130,
            key="export-scale",
            help="Pixels of the file for a pixel of the images.",
        )
        fps: int | None = 10
        together = False
        if kind == "Animation":
            fps = whole_number(
                "Frames per second", *FPS_RANGE, default=10, width=170, key="export-fps"
            )
    with st.container(horizontal=True):
        labels = st.toggle(
            "Labels",
            True,
            key="export-labels",
            help="Names, factors, KL and values. On a sheet also the start image, its "
            "reconstruction and a caption.",
        )
        if kind == "Animation":
            together = st.toggle(
                "Side by side",
                key="export-together",
                help="On: all latents move at once. Off: one after another.",
            )
    if not latents:
        st.info("Choose at least one latent.")
        return
    if count is None or fps is None:
        return

    counts = [min(count, len(view.profile.values[latent])) for latent in latents]
    try:
        check_size(view.model.image_shape, counts, FORMATS[kind][-1], scale, together)
    except ConfigError as error:
        st.warning(plain(str(error)))
        return

    def content(ending: str) -> bytes:
        with COMPUTING:
            traversals = _traversals(view, resolved, run, latents, count)
        return render_traversals(
            traversals, ending, scale=scale, labels=labels, fps=fps, together=together
        )

    with st.container(horizontal=True):
        for ending in FORMATS[kind]:
            _download(kind, ending, f"{run.id}-traversals", partial(content, ending))
    if labels and (missing := undrawable(_texts(view, run, latents))):
        st.caption(
            plain(
                f"All but SVG show ? instead of {missing}, because this machine has no font for "
                "them."
            )
        )
    if kind == "Sheet" and st.toggle("Preview", key="export-preview"):
        st.image(content("png"), output_format="PNG")


def _traversals(
    view: BoardView, resolved: ResolvedStart, run: Run, latents: list[int], count: int
) -> Traversals:
    start = TraversalStart(
        model=view.model,
        profile=view.profile,
        code=view.code,
        image=resolved.image,
        posterior=view.posterior,
        names=view.names,
    )
    return traversals_from(start, run.id, run.record.dataset, latents, count)


def _texts(view: BoardView, run: Run, latents: list[int]) -> list[str]:
    names = [view.names.words(latent) for latent in latents]
    of_categories = [
        name for latent in latents for name in view.names.of_categories(latent).values()
    ]
    return [*names, *of_categories, *view.profile.factor_names, run.id, run.record.dataset]


def _show_codes(view: BoardView, run: Run, dataset: Dataset) -> None:
    per_image = posterior_bytes(view.model)
    most = min(dataset.num_images, 100_000, MAX_POSTERIOR_BYTES // max(1, per_image))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = whole_number(
            "Images of the data set",
            1,
            most,
            default=min(most, DEFAULT_COUNT),
            width=190,
            key=f"export-images-{run.id}",
            help="Drawn at random, each at most once. `python -m dvae_core codes` writes more of a "
            "larger data set.",
        )
        posteriors = True
        if per_image:
            posteriors = st.toggle(
                "Probabilities of all categories",
                True,
                key="export-posteriors",
                help="Otherwise only that of the most likely category of each latent.",
            )

    if count is None:
        return
    asked = f"export-encode-{run.id}-{count}"
    if not st.session_state.get(asked):
        st.button(
            f"Encode {count:,} images",
            icon=":material/play_arrow:",
            on_click=partial(st.session_state.__setitem__, asked, True),
            key=f"{asked}-button",
        )
        return
    encoded = encoded_or_progress(run, count)
    if encoded is None:
        return

    def content(ending: str) -> bytes:
        source = posterior_source(view.model, dataset, encoded) if posteriors else None
        return code_file(ending, encoded, np.arange(len(encoded)), source, run.id)

    with st.container(horizontal=True):
        for ending in ("npz", "csv"):
            _download("Codes", ending, f"{run.id}-codes", partial(content, f".{ending}"))


def _download(label: str, kind: str, name: str, content: Callable[[], bytes]) -> None:
    st.download_button(
        f"{label} ({kind.upper()})",
        content,
        file_name=f"{name}.{kind}",
        icon=":material/download:",
        on_click="ignore",
        key=f"{name}-{kind}",
    )


def _code_as_csv(view: BoardView) -> str:
    lines = ["latent,start,code,kl_nats"]
    for latent in range(len(view.code)):
        start, code = view.start_code[latent].item(), view.code[latent].item()
        lines.append(f"{latent},{start:.9g},{code:.9g},{view.kl_of(latent):.6g}")
    return "\n".join(lines) + "\n"


def _code_as_npz(view: BoardView) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        start=view.start_code.numpy(),
        code=view.code.numpy(),
        # (N, P), rows of fewer values filled up with NaN.
        values=pad_sequence(view.values, batch_first=True, padding_value=np.nan).numpy(),
        kl_nats=np.array([view.kl_of(latent) for latent in range(len(view.code))]),
    )
    return buffer.getvalue()
