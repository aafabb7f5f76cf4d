"""Slide a latent, see the image."""

from dataclasses import replace
from functools import partial

import streamlit as st
import torch

from dvae_core.analysis.latent_profile import LatentProfile
from dvae_core.analysis.reconstruction import reconstruct
from dvae_core.data.dataset import Dataset
from dvae_core.errors import DataError
from dvae_core.models.vae import VAE
from dvae_core.runs.names import LatentNames
from dvae_core.runs.run import Run
from dvae_core.web.board import BoardTarget
from ui.boards import BoardView, choose_within_data, show_board, show_legend
from ui.cached import st_latent_profile, st_load_dataset, st_load_model
from ui.errors import errors_shown, plain
from ui.explore.downloads import show_downloads
from ui.explore.image_differences import show_differences
from ui.explore.second_image import TOOL, Explorations, keep_in_link, open_second
from ui.explore.traversals import show_pair
from ui.explore.two_images import (
    SHOWN,
    ImagePair,
    show_actions,
    show_boards,
    show_nothing_pinned,
    show_pin,
)
from ui.history import show_history
from ui.latent_board import BoardEvent
from ui.latent_names import show_search, shown_names
from ui.link import current_view, set_view, write_link
from ui.reconstruction import show_pictures
from ui.routing import PAGES
from ui.run_picker import choose_run, show_summary
from ui.selection import Exploration, current_selection, new_move
from ui.start_picker import ResolvedStart, checked_code, choose_start, resolve_start
from ui.titles import show_title
from ui.view import choose_part
from ui.widgets import choose, when_changed, widget_key

TOOLS = {
    "pair": "Two latents at once",
    TOOL: "Two images",
    "downloads": "Export",
}


def release(exploration: Exploration, event: BoardEvent) -> None:
    """Take over where the handles stand. The latent that a person moved is the chosen one, which
    other pages show."""
    exploration.move(event.code)
    if len(event.moved) == 1:
        exploration.latent = event.moved[0]


@st.fragment
@errors_shown()
def board_and_tools(
    explorations: Explorations,
    run: Run,
    model: VAE,
    dataset: Dataset | None,
    profile: LatentProfile,
    factor: int | None,
    names: LatentNames,
) -> None:
    """What a released handle changes; the side bar is left alone."""
    exploration, second = explorations
    shows_two = current_view().get("tool") == TOOL and second.start is not None

    order = profile.by_kl() if factor is None else profile.by_information(factor)

    def look_at(each: Exploration) -> tuple[ResolvedStart, BoardView]:
        resolved = resolve_start(each, model, dataset)
        view = BoardView(
            model=model,
            profile=profile,
            order=order,
            start_code=resolved.code,
            code=checked_code(each, model, resolved),
            posterior=resolved.posterior,
            chosen=exploration.latent,
            shown=SHOWN if shows_two else None,
            factor=factor,
            names=names,
        )
        return resolved, view

    resolved, view = look_at(exploration)
    show_legend(view)
    pair = None
    if shows_two:
        other, other_view = look_at(second)
        target = BoardTarget(other_view.code.tolist(), "From A to B")
        view = replace(view, target=target)
        pair = ImagePair(explorations, (resolved, other), (view, other_view), dataset)
        show_boards(pair)
    else:
        show_board(
            view,
            key=f"board-{exploration.address}",
            on_release=partial(release, exploration),
        )
    with st.container(horizontal=True, vertical_alignment="center", key="steps"):
        show_history(explorations if current_view().get("tool") == TOOL else [exploration])
        show_pin(explorations, "pin")
    if pair is None:
        show_start(model, resolved)
    else:
        with st.container(horizontal=True, vertical_alignment="center", key="pair-actions"):
            if show_actions(pair):
                st.rerun()
    tool = choose_part("Tools", "tool", TOOLS, key="tool")
    if tool == "pair":
        show_pair(view, key=f"{exploration.address}-pair")
    elif tool == TOOL and pair is not None:
        show_differences(pair)
    elif tool == TOOL:
        show_nothing_pinned(explorations, dataset)
    elif tool == "downloads":
        show_downloads(view, resolved, run, dataset)
    keep_in_link(second)
    write_link(in_fragment=True)


def show_start(model: VAE, resolved: ResolvedStart) -> None:
    """The start image beside its reconstruction."""
    if resolved.image is None:
        return
    own = reconstruct(model, resolved.image, resolved.code)
    with st.container(horizontal=True, gap="medium", key="start-images"):
        captions = ("start image", "its reconstruction", "reconstruction − start")
        show_pictures(resolved.image, own, captions, width=128)
        st.metric(
            "Reconstruction loss of the start",
            f"{own.loss:.1f} nats",
            help="Bernoulli cross entropy of the start image under its own reconstruction, "
            "summed over pixels and channels. Sliding a latent does not change it.",
        )


def snap(explorations: Explorations, model: VAE, dataset: Dataset | None, hard: bool) -> None:
    """Change what the start's code is; latents that a person moved stay where they are."""
    together = new_move()
    for each in explorations:
        if each.start is None:
            continue
        before = resolve_start(each, model, dataset).code
        each.snap(hard, each.code, together)
        if each.code is not None:
            moved, after = torch.tensor(each.code), resolve_start(each, model, dataset).code
            each.code = tuple(torch.where(moved == before, after, moved).tolist())


show_title(
    "Explore",
    "Drag a latent: the image follows. Each latent is one number of the code that the decoder "
    "turns into an image.",
)
chosen = choose_run()
if chosen is None:
    st.stop()
address, run = chosen
exploration = current_selection().exploration(address)

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
    resolve_start(exploration, model, dataset)  # settles a start that is not available here
    explorations = open_second(exploration, run, model, dataset)

    with st.sidebar:
        show_summary(run)
        choose_start(exploration, model, dataset, key=f"{address}-start")
        st.subheader("Latents", divider=False)
        span, factor = model.latents.spans[0], None
        if len(model.latents.spans) > 1:
            wanted = current_view().get("span", "")
            span = wanted if wanted in model.latents.spans else span
            choose(
                "Range of the tracks",
                {name: name for name in model.latents.spans},
                span,
                name="span",
                take=lambda span: set_view(span=span),
            )
        profile = st_latent_profile(run, dataset, span)
        names = profile.factor_names
        if len(names):
            order_by = exploration.order_by if exploration.order_by in names else None
            order_key = widget_key(f"{address}-order", order_by)
            order_by = st.selectbox(
                "Order latents by",
                [None, *names],
                [None, *names].index(order_by),
                format_func=lambda name: "mean KL" if name is None else f"information: {name}",
                key=order_key,
                on_change=when_changed(order_key, partial(setattr, exploration, "order_by")),
                help="Mean KL: over images of the data set; each row shows the KL of the start "
                "image. Latents of QLAE and FSQ, whose KL is constant, are ordered by the entropy "
                "of their categories. Information: mutual information with that factor.",
            )
            factor = None if order_by is None else names.index(order_by)
        if model.latents.num_categories is not None:
            hard_key = widget_key(f"{address}-hard", exploration.hard)
            st.toggle(
                "Snap to the most likely category",
                exploration.hard,
                key=hard_key,
                on_change=when_changed(hard_key, partial(snap, explorations, model, dataset)),
                help="Off: the start's code is the expectation of each latent's posterior, which "
                "may lie between two categories. On: the value of its most likely category.",
            )

        if dataset is not None:
            choose_within_data()
            if st.button(
                "Real images of a latent",
                icon=":material/view_module:",
                key="explore-latents",
                help="How often each category of the latent that you moved last occurs, and the "
                "images in it.",
            ):
                st.switch_page(PAGES / "latents.py")
            if st.button(
                "Images like this one",
                icon=":material/table_view:",
                key="explore-images",
                help="The images nearest to the start in code space, and a table of all.",
            ):
                st.switch_page(PAGES / "images.py")
        show_search()

    latent_names = shown_names(run)
    board_and_tools(explorations, run, model, dataset, profile, factor, latent_names)
