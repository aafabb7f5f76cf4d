"""Two boards of two runs side by side, and what the pairing of their latents rests on."""

from contextlib import suppress
from functools import partial

import streamlit as st

from dvae_core.analysis.latent_profile import LatentProfile
from dvae_core.data.dataset import Dataset
from dvae_core.errors import DataError
from dvae_core.evaluation.information import information_of_countable
from dvae_core.figures.compare import frame_cells
from dvae_core.figures.information import heatmap_width, information_heatmap
from ui.boards import BoardView, show_board
from ui.cached import st_latent_profile, st_load_dataset
from ui.charts import NO_TOOLBAR, show_wide_chart
from ui.compare.comparison import SIDES, Comparison, Side, show_right_code
from ui.compare.planes import mig_of_countable
from ui.errors import errors_shown, plain
from ui.history import show_history
from ui.link import write_link
from ui.page_download import show_page_download
from ui.reconstruction import show_reconstruction
from ui.run_picker import show_summary
from ui.start_picker import checked_code

SHOWN = 3  # rows of a board at first, so that the page stays short


def profile_of(side: Side) -> LatentProfile:
    """Of a run on its own data; its tracks cover the range of the data, where links lead."""
    own: Dataset | None = None
    with suppress(DataError):  # samples of the prior stand in
        own = st_load_dataset(side.run.record.dataset, side.run.record.image_size)
    return st_latent_profile(side.run, own, side.model.latents.spans[-1])


def aligned_order(comparison: Comparison, index: int, profile: LatentProfile) -> list[int]:
    """Partners on the same row of both boards, what has none below by KL."""
    paired = [pair.latents[index] for pair in comparison.pairs]
    return paired + [latent for latent in profile.by_kl() if latent not in paired]


@st.fragment
@errors_shown()
def show_boards(comparison: Comparison, match: str | None) -> None:
    """Both boards, and the reconstructions from both current codes."""
    both = comparison.begin()
    for index, (column, side, resolved) in enumerate(
        zip(st.columns(2, gap="medium"), comparison.sides, both, strict=True)
    ):
        with column:
            st.markdown(f"#### {plain(side.name)}")
            show_summary(side.run)
            profile = profile_of(side)
            code = checked_code(side.exploration, side.model, resolved)
            show_board(
                BoardView(
                    model=side.model,
                    profile=profile,
                    order=aligned_order(comparison, index, profile),
                    start_code=resolved.code,
                    code=code,
                    posterior=resolved.posterior,
                    shown=SHOWN,
                    names=side.names,
                ),
                key=f"compare-{SIDES[index]}-{side.address}",
                on_release=partial(comparison.move, index, match),
                label=f"latents of {side.name}",
                side=SIDES[index],
            )
            show_reconstruction(side.model, resolved)
    with st.container(horizontal=True):
        show_history(comparison.explorations)
        left, right = (side.run for side in comparison.sides)
        if left.record.dataset == right.record.dataset:
            show_page_download([left, right])
    show_right_code(comparison)
    write_link(in_fragment=True)


def describe_pairs(comparison: Comparison) -> str:
    """Which latent is whose partner, and why, as a Markdown list."""
    factors, lines = comparison.dataset.factor_names, []
    for latents, factor in comparison.pairs:
        both = " ↔ ".join(
            plain(side.names.short_words(latent))
            for side, latent in zip(comparison.sides, latents, strict=True)
        )
        why = "by mutual information" if factor is None else f"both encode {plain(factors[factor])}"
        lines.append(f"- {both}: {why}")
    return "\n".join(lines)


def show_information(comparison: Comparison) -> None:
    """Heat maps of both, the pairing framed."""
    for index, (column, side) in enumerate(
        zip(st.columns(2, gap="medium"), comparison.sides, strict=True)
    ):
        with column:
            points = side.points
            measured = information_of_countable(points.codes, points.factors)
            shares = measured.matrix / measured.factor_entropy.clip(1e-9)
            order = aligned_order(comparison, index, profile_of(side))
            cells = [
                (latents[index], factor)
                for latents, factor in comparison.pairs
                if factor is not None
            ]
            title = f"**{plain(side.name)}**"
            if (score := mig_of_countable(points)) is not None:
                title += f" · MIG {score:.3f}"
            st.markdown(title)
            figure = information_heatmap(
                shares,
                comparison.dataset.factor_names,
                order,
                unit="share of entropy",
                latent_names=side.names,
            )
            show_wide_chart(
                frame_cells(figure, order, cells),
                heatmap_width(len(comparison.dataset.factor_names), 0, side.names),
                key=f"information-{SIDES[index]}",
                config=NO_TOOLBAR,
            )
    count = len(comparison.sides[0].points.codes)
    st.caption(
        f"Protocol paper: mean codes in 20 bins, {count:,} images. Frames mark linked latents."
    )
