"""Which latent encodes which factor, and the scores that follow."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
import torch

from dvae_core.analysis.linking import diagonal_order
from dvae_core.analysis.traversal import to_pixels, traverse_latent
from dvae_core.data.dataset import Dataset, factor_variation
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.latent_statistics import categories_used
from dvae_core.evaluation.results import Evaluation, ProtocolName, read_evaluation
from dvae_core.figures.information import (
    heatmap_width,
    information_heatmap,
    latent_information_heatmap,
)
from dvae_core.models.vae import VAE
from dvae_core.runs.names import LatentNames
from dvae_core.runs.run import Run, State
from dvae_core.system.spreadsheet import to_csv
from ui.cached import (
    st_information,
    st_load_dataset,
    st_load_model,
    st_reference_scores,
)
from ui.charts import CHART_CONFIG, show_wide_chart
from ui.errors import errors_shown, plain
from ui.evaluation_job import show_evaluation
from ui.images import show_grid
from ui.latent_names import show_search, shown_names
from ui.link import current_view, set_view
from ui.routing import PAGES
from ui.run_picker import choose_protocol, choose_run, show_summary
from ui.score_tables import describe_table, scores_table, show_bars, show_reasons, show_scores
from ui.selection import Exploration, current_selection
from ui.start_picker import factors_of_start, resolve_start
from ui.titles import show_title
from ui.widgets import when_changed, widget_key

UNITS = {"share": "share of entropy", "nats": "nats"}
STRIP_IMAGES = 12
WIDE_CHART = 640  # pixels, from which on the chosen cell is below the heat map


def show_cell(
    exploration: Exploration,
    model: VAE,
    dataset: Dataset,
    latent_names: LatentNames,
    latent: int,
    name: str,
) -> None:
    """The traversal of a latent beside the ground-truth variation of a factor, from the start."""
    resolved = resolve_start(exploration, model, dataset)
    of_start = factors_of_start(exploration.start, dataset)
    if of_start is None:
        factors = dataset.factors_at(torch.tensor([len(dataset) // 2]))[0]
    else:
        factors = torch.tensor(of_start)
    factor = dataset.factor_names.index(name)
    varying, _ = factor_variation(dataset, factors, factor, STRIP_IMAGES)
    # As many images of one as of the other, so that the strips are equally long.
    values = model.latents.traversal_values(latent, len(varying))
    sliding = to_pixels(traverse_latent(model, resolved.code, latent, values))
    with st.container(key="cell"):
        words = plain(latent_names.words(latent))
        st.markdown(f"**{words}** beside **{plain(name)}**")
        show_grid(sliding[None], f"traversal of {words}")
        show_grid(to_pixels(varying)[None], f"ground-truth variation of {plain(name)}")
        if st.button(f"Open latent {latent} in Explore", icon=":material/tune:"):
            exploration.order_by = name
            st.switch_page(PAGES / "explore.py")
        if st.button(f"Real images of latent {latent}", icon=":material/view_module:"):
            st.switch_page(PAGES / "latents.py")


def choose_cell(
    exploration: Exploration, names: Sequence[str], order: list[int], latent_names: LatentNames
) -> tuple[int, str] | None:
    """The chosen latent and factor, by a click on the heat map or by keyboard; None without one."""
    fields: dict[str, tuple[Sequence[object], Callable[[Any], str]]] = {
        "latent": (order, latent_names.words),
        "factor": (names, str),
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for field, (options, describe) in fields.items():
            chosen = getattr(exploration, field)
            chosen = chosen if chosen in options else None
            labels = [describe(option) for option in options]
            key = widget_key(f"{exploration.address}-{field}", chosen, labels)
            st.selectbox(
                field.capitalize(),
                options,
                index=None if chosen is None else options.index(chosen),
                format_func=describe,
                placeholder="click a cell or choose",
                key=key,
                on_change=when_changed(key, partial(setattr, exploration, field)),
                width=220,
            )
    latent, factor = exploration.latent, exploration.factor
    if latent is None or factor is None or latent not in order or factor not in names:
        return None
    return latent, factor


def choose_unit() -> str:
    """The unit of the heat map, which the link says."""
    wanted = current_view().get("unit", "")
    unit = wanted if wanted in UNITS else next(iter(UNITS))
    key = widget_key("unit", unit)
    st.radio(
        "Heat map in",
        UNITS,
        index=list(UNITS).index(unit),
        format_func=UNITS.__getitem__,
        key=key,
        on_change=when_changed(key, lambda unit: set_view(unit=unit)),
    )
    return unit


def latent_bars(evaluation: Evaluation, protocol: ProtocolName) -> dict[str, np.ndarray]:
    """KL and usage of each latent; the usage is that of categories, so Gaussians have none."""
    bars = {"KL, nats": evaluation.matrix("kl", protocol)[0]}
    if evaluation.table("usage", protocol) is not None:
        bars["K used"] = categories_used(evaluation.matrix("usage", protocol))
    return bars


def show_information(
    exploration: Exploration,
    run: Run,
    dataset: Dataset,
    protocol: ProtocolName,
    unit: str,
    latent_names: LatentNames,
) -> None:
    """The heat map, and the chosen cell beside it."""
    evaluation = st_information(run, protocol)
    shares = evaluation.information_shares(protocol)
    order = diagonal_order(shares)
    # Factors with a single value have no entropy and are left out.
    names = evaluation.columns("mutual_information", protocol)
    score = evaluation.score("mig", protocol)
    title = "Which latent encodes which factor?"
    if score is not None and score.value is not None:
        title += f" MIG {score.value:.3f}"
    st.subheader(title, anchor=False, help=MEANINGS["mig"].meaning)
    bars = latent_bars(evaluation, protocol)
    width = heatmap_width(len(names), len(bars), latent_names)
    is_wide = width > WIDE_CHART
    left, right = (st.container() for _ in "ab") if is_wide else st.columns([3, 2], gap="medium")
    chart_key = f"{exploration.address}-information"

    def pick() -> None:
        # The chart forgets the clicked cell when it is drawn again.
        points = st.session_state[chart_key]["selection"]["points"]
        if points:
            latent, factor = map(int, points[0]["customdata"])
            exploration.latent, exploration.factor = latent, names[factor]

    with right:
        cell = choose_cell(exploration, names, order, latent_names)
        if cell is None:
            st.caption("Click a cell to see what the latent and the factor change.")
        else:
            show_cell(exploration, st_load_model(run), dataset, latent_names, *cell)
    with left:
        figure = information_heatmap(
            shares if unit == "share" else evaluation.matrix("mutual_information", protocol),
            names,
            order,
            unit=UNITS[unit],
            bars=bars,
            marked=None if cell is None else (cell[0], names.index(cell[1])),
            latent_names=latent_names,
        )
        show_wide_chart(
            figure,
            width,
            key=chart_key,
            on_select=pick,
            selection_mode="points",
            config=CHART_CONFIG,
        )
        st.caption(
            plain(f"{protocol}: {describe_table(evaluation, protocol)}. ")
            + (
                ""
                if protocol == "native"
                else "The mean code can hold more information than the KL suggests; compare both. "
            )
            + "K used is the exponential of the entropy of the mean posterior."
        )


def show_between(run: Run, protocol: ProtocolName, latent_names: LatentNames) -> None:
    """Mutual information between latents."""
    evaluation = st_information(run, protocol)
    between = evaluation.matrix("latent_information", protocol)
    if len(between) > 1:
        st.subheader("Mutual information between latents")
        order = diagonal_order(evaluation.matrix("mutual_information", protocol))
        st.plotly_chart(
            latent_information_heatmap(between, order, latent_names=latent_names),
            config=CHART_CONFIG,
        )


def show_exports(run: Run, protocol: ProtocolName) -> None:
    """Downloads of the numbers; the charts save themselves."""
    evaluation = st_information(run, protocol)
    names = evaluation.columns("mutual_information", protocol)
    matrix = pd.DataFrame(evaluation.matrix("mutual_information", protocol), columns=names)
    files = {
        "information.csv": to_csv(matrix, index_label="latent"),
        "scores.csv": to_csv(scores_table(read_evaluation(run), protocol)),
        "evaluation.json": evaluation.model_dump_json(indent=1),
    }
    with st.container(horizontal=True):
        for name, content in files.items():
            st.download_button(
                name,
                content,
                f"{run.id}-{name}",
                icon=":material/download:",
                on_click="ignore",
            )
    st.caption("The camera above each chart saves it as SVG.")


show_title(
    "Factors",
    "How well the latents match the true factors of the data: their mutual information, and the "
    "scores that follow from it.",
)
chosen = choose_run()
if chosen is None:
    st.stop()
address, run = chosen
exploration = current_selection().exploration(address)
with st.sidebar:
    show_summary(run)
    protocol = choose_protocol()
    unit = choose_unit()
    show_search()
if not run.record.has_encoder:
    st.info(
        "This model has no encoder, so its latents cannot be compared with factors. Explore can "
        "still traverse them.",
        icon=":material/label_off:",
    )
    st.stop()
if run.state() is State.RUNNING:
    st.info(
        f"This run is still training. The numbers describe its last saved state, at step "
        f"{run.weights_step():,}.",
        icon=":material/hourglass:",
    )

latent_names = shown_names(run)
dataset: Dataset | None = None
with errors_shown():
    dataset = st_load_dataset(run.record.dataset, run.record.image_size)
has_factors = dataset is not None and len(dataset.factor_sizes) > 0
if has_factors:
    with errors_shown():
        show_information(exploration, run, dataset, protocol, unit, latent_names)
elif dataset is not None:
    st.info(
        f"{plain(dataset.name)} has no ground-truth factors, so there is no heat map. Metrics "
        "that need no labels are below.",
        icon=":material/label_off:",
    )

st.subheader("Scores")
with errors_shown():
    found, references = read_evaluation(run), None
    is_measured = any(score.protocol == protocol for score in found.scores)
    if is_measured and dataset is not None:
        references = st_reference_scores(run.record.dataset, run.record.image_size, protocol)
    scores = scores_table(found, protocol, references)
    if scores.empty:
        st.caption("Not evaluated yet under this protocol.")
    else:
        show_bars(found, protocol, references or {})
        show_scores(scores)
        show_reasons([found], protocol)
    show_evaluation(run, protocol)
if has_factors:
    with errors_shown():
        show_between(run, protocol, latent_names)
        show_exports(run, protocol)
