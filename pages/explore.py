"""Slide a latent, see the image."""

from functools import partial

import streamlit as st
import torch

from dvae_core.analysis.latent_profile import LatentProfile
from dvae_core.analysis.reconstruction import reconstruct
from dvae_core.analysis.traversal import to_pixels
from dvae_core.data.dataset import Dataset
from dvae_core.errors import DataError
from dvae_core.models.vae import VAE
from dvae_core.runs.run import Run
from ui import state
from ui.boards import BoardView, show_board
from ui.cached import st_latent_profile, st_load_dataset, st_load_model
from ui.errors import errors_shown, plain
from ui.explore.downloads import show_downloads
from ui.explore.traversals import show_interpolation, show_pair
from ui.images import show_image
from ui.run_picker import choose_run, show_summary
from ui.start_picker import choose_start, resolve_start
from ui.state import Exploration, set_widget, when_changed

TOOLS = {
    "pair": "Two latents at once",
    "interpolation": "From one image to another",
    "downloads": "Export",
}


@st.fragment
@errors_shown()
def board_and_tools(
    exploration: Exploration,
    run: Run,
    model: VAE,
    dataset: Dataset | None,
    profile: LatentProfile,
    order: list[int],
) -> None:
    """What a released handle changes; the side bar is left alone."""
    resolved = resolve_start(exploration, model, dataset)
    if exploration.code is not None and len(exploration.code) != len(resolved.code):
        st.info(
            f"The link's code has {len(exploration.code)} values, but this model has "
            f"{len(resolved.code)} latents: the handles stand at the start."
        )
        exploration.code = None
    low, high = model.latents.code_range
    if exploration.code is not None and not all(low <= value <= high for value in exploration.code):
        st.info(f"The link's code leaves the range {low:g} to {high:g}and was clamped to it.")
        exploration.code = tuple(min(max(value, low), high) for value in exploration.code)
    view = BoardView(
        model=model,
        profile=profile,
        order=order,
        start_code=resolved.code,
        code=resolved.code if exploration.code is None else torch.tensor(exploration.code),
        posterior=resolved.posterior,
    )
    show_board(
        view,
        key=f"board-{exploration.address}",
        on_release=lambda event: exploration.move(event.code),
    )
    state.write_link(exploration)
    with st.container(horizontal=True, key="steps"):
        undone = st.button(
            "Undo",
            icon=":material/undo:",
            shortcut="mod+z",
            disabled=not exploration.history,
            on_click=exploration.undo,
            key="undo",
        )
        st.button(
            "Back to the start",
            icon=":material/restart_alt:",
            disabled=exploration.code is None,
            on_click=lambda: exploration.move(None),
        )
    if undone:
        st.rerun()  # the side bar shows the start, which may have changed
    if resolved.image is not None:
        back = reconstruct(model, resolved.image, view.code)
        with st.container(horizontal=True, gap="medium", key="start-images"):
            show_image(to_pixels(resolved.image), "original")
            show_image(to_pixels(back.image), "decoded")
            show_image(to_pixels((1 + back.difference) / 2), "decoded − original")
            st.metric(
                "Reconstruction loss",
                f"{back.loss:.1f} nats",
                help="Bernoulli cross entropy of the original under the image decoded from the "
                "current code, summed over pixels and channels.",
            )
    tool = st.segmented_control("Tools", list(TOOLS), format_func=TOOLS.__getitem__, key="tool")
    if tool == "pair":
        show_pair(view, key=f"{exploration.address}-pair")
    elif tool == "interpolation":
        show_interpolation(
            view, exploration.hard, dataset, key=f"{exploration.address}-interpolation"
        )
    elif tool == "downloads":
        show_downloads(view, resolved, run.id)


chosen = choose_run()
if chosen is None:
    st.stop()
address, run = chosen
exploration = state.current_exploration(address)

with errors_shown():
    model = st_load_model(run)
    dataset: Dataset | None = None
    if model.encoder is None:
        st.info("This model has no encoder: traversals start from samples of the prior.")
    else:
        try:
            dataset = st_load_dataset(run.record.dataset, run.record.image_size)
        except DataError as error:
            st.warning(
                plain(f"Only prior samples and your own images are available as a start: {error}")
            )

    with st.sidebar:
        show_summary(run)
        resolve_start(
            exploration, model, dataset
        )  # settles a start that a link asked for and is not here
        choose_start(exploration, model, dataset, key=f"{address}-start")
        st.subheader("Board", divider=False)
        span, factor = model.latents.spans[0], None
        if len(model.latents.spans) > 1:
            span = st.selectbox("Range of the tracks", model.latents.spans, key="span")
        profile = st_latent_profile(run, dataset, span)
        if len(profile.factor_names):
            order_key = set_widget(f"{address}-order", exploration.order_by)
            factor = st.selectbox(
                "Order latents by",
                [None, *range(len(profile.factor_names))],
                format_func=lambda f: "KL" if f is None else plain(profile.factor_names[f]),
                key=order_key,
                on_change=when_changed(order_key, partial(setattr, exploration, "order_by")),
            )
        if model.latents.num_categories is not None:
            hard_key = set_widget(f"{address}-hard", exploration.hard)
            st.toggle(
                "Snap to the most likely category",
                key=hard_key,
                on_change=when_changed(hard_key, exploration.begin_hard),
                help="Off: the start's code is the expectation of each latent's posterior, which "
                "may lie between two categories. On: the value of its most likely category.",
            )

    in_order = profile.by_kl() if factor is None else profile.by_information(factor)
    board_and_tools(exploration, run, model, dataset, profile, in_order)
