"""Two runs: choosing them, one start for both, and the link between their latents."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

import streamlit as st
import torch

from dvae_core.analysis.linking import (
    Link,
    Partners,
    link_by_factor,
    link_by_quantile,
    pair_latents,
)
from dvae_core.analysis.reconstruction import encode_image
from dvae_core.analysis.traversal import decode_codes
from dvae_core.config import FAMILIES
from dvae_core.data.dataset import Dataset
from dvae_core.evaluation.representation import Representation
from dvae_core.models.vae import VAE
from dvae_core.runs.catalog import usable_runs
from dvae_core.runs.run import Run
from ui.cached import st_encode_points, st_load_model
from ui.errors import plain
from ui.latent_board import BoardEvent
from ui.run_picker import describe
from ui.start_picker import ResolvedStart, resolve_start
from ui.state import Code, Exploration, Start, set_widget, when_changed

SIDES = ("left", "right")
MATCHES = {"quantile": "quantile", "factor": "factor value"}


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes:
        address: of the run.
        run: itself.
        model: its model.
        points: its codes for images that both have seen.
        exploration: its start and code.
    """

    address: str
    run: Run
    model: VAE
    points: Representation
    exploration: Exploration

    @property
    def name(self) -> str:
        """What the page calls it, plain text."""
        return describe(self.address)


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same images.

    Attributes:
        sides: left and right.
        dataset: of the left run; both encode its images.
        pairs: latents that carry the same.
    """

    sides: tuple[Side, Side]
    dataset: Dataset
    pairs: list[Partners]

    def move(self, side: int, match: str | None, event: BoardEvent) -> None:
        """A handle of a side was let go: its partner goes where the same is meant.

        Args:
            side: 0 left, 1 right.
            match: one of `MATCHES`; None where the boards are not linked.
            event: what the board said.
        """
        moved, other = self.sides[side].exploration, self.sides[1 - side].exploration
        code = other.code
        partner = self.partner(side, event.latent)
        if match is not None and partner is not None:
            values = list(code if code is not None else self._start_code(1 - side))
            values[partner] = self.link(side, event.latent, match).carry(event.value)
            code = tuple(values)
        moved.move(event.code)
        other.move(code)  # also where it stays: an undo then takes both back one step

    def partner(self, side: int, latent: int) -> int | None:
        """The other side's latent that carries the same, or None."""
        both = (pair.latents for pair in self.pairs)
        return next((found[1 - side] for found in both if found[side] == latent), None)

    def link(self, side: int, latent: int, match: str) -> Link:
        """How a latent's values go over to its partner's."""
        latents, factor = next(pair for pair in self.pairs if pair.latents[side] == latent)
        own = self.sides[side].points.codes[:, latents[side]]
        partner = self.sides[1 - side].points.codes[:, latents[1 - side]]
        if match == "factor" and factor is not None:
            return link_by_factor(own, partner, self.sides[0].points.factors[:, factor])
        return link_by_quantile(own, partner)

    def undo(self) -> None:
        """Both go back one step."""
        for side in self.sides:
            side.exploration.undo()

    def restart(self) -> None:
        """Both go to their code of the start."""
        for side in self.sides:
            side.exploration.move(None)

    def begin(self) -> tuple[ResolvedStart, ResolvedStart]:
        """The start, looked up for both. A sample of the left prior is decoded, and the right
        model encodes that image."""
        left, right = self.sides
        resolved = resolve_start(left.exploration, left.model, self.dataset)
        if right.exploration.start is not left.exploration.start:
            right.exploration.start, right.exploration.code, right.exploration.history = (
                left.exploration.start,
                None,
                [],
            )
        if resolved.image is None:
            image = decode_codes(left.model, resolved.code)
            posterior = encode_image(right.model, image)
            return resolved, ResolvedStart(posterior.mean_code()[0], image, posterior)
        return resolved, resolve_start(right.exploration, right.model, self.dataset)

    def _start_code(self, side: int) -> Code:
        return tuple(self.begin()[side].code.tolist())


def choose_sides() -> tuple[tuple[str, Run], tuple[str, Run]] | None:
    """Let a person choose two runs in the side bar; None, and a word, where there are none."""
    runs = {address: run for address, run in usable_runs() if run.record.has_encoder}
    first = _default(runs)
    if first is None:
        st.markdown("#### Nothing to compare yet")
        st.write(
            "This page needs two runs on images of the same shape. These commands train a pair, "
            "about three minutes each:"
        )
        st.code(
            "\n".join(
                f"python -m dvae_core train --preset quick --latents {family} "
                f"--run-dir runs/{family}"
                for family in ("gaussian", "categorical")
            ),
            language="bash",
        )
        return None
    chosen = st.session_state.get("compared", first)
    left = _select("Left", list(runs), chosen[0] if chosen[0] in runs else first[0])
    fitting = _partners(runs, left)
    if not fitting:
        st.info(plain(f"No other run was trained on images of the same shape as {describe(left)}."))
        return None
    preferred = [a for a in fitting if runs[a].record.latents != runs[left].record.latents]
    right = chosen[1] if chosen[1] in fitting else (preferred or fitting)[0]
    right = _select("Right", fitting, right)
    st.session_state["compared"] = (left, right)
    return (left, runs[left]), (right, runs[right])


def open_comparison(left: tuple[str, Run], right: tuple[str, Run], dataset: Dataset) -> Comparison:
    """Models, codes and pairing of two runs; their start and codes as this session left them."""
    sides = tuple(
        Side(
            address,
            run,
            st_load_model(run),
            st_encode_points(run, dataset.name),
            _there(side, address),
        )
        for side, (address, run) in zip(SIDES, (left, right), strict=True)
    )
    exploration = sides[0].exploration
    if (
        exploration.start is None
        and dataset.factor_sizes
        and len(dataset) == prod(dataset.factor_sizes)
    ):
        # Off the middle, where a code stays in its place when the plane is turned.
        exploration.start = Start("factors", tuple(size // 4 for size in dataset.factor_sizes))
    points = [side.points for side in sides]
    pairs = pair_latents(points[0].codes, points[1].codes, points[0].factors)
    return Comparison((sides[0], sides[1]), dataset, pairs)


def current_code(side: Side, resolved: ResolvedStart) -> torch.Tensor:
    """Where the handles of a side stand, (N,)."""
    code = side.exploration.code
    return resolved.code if code is None else torch.tensor(code)


def _there(side: str, address: str) -> Exploration:
    key = f"compare-{side}-there"
    exploration = st.session_state.get(key)
    if exploration is None or exploration.address != address:
        start = exploration.start if exploration is not None else None
        exploration = st.session_state[key] = Exploration(address, start)
    return exploration


def _default(runs: Mapping[str, Run]) -> tuple[str, str] | None:
    """Two runs of one data set, without and with categories where there are both."""
    pairs = [(left, right) for left in runs for right in _partners(runs, left)]

    def fit(pair: tuple[str, str]) -> tuple[bool, bool]:
        left, right = (runs[address].record for address in pair)
        categories = [FAMILIES[record.latents].has_categories for record in (left, right)]
        return (left.dataset == right.dataset, categories == [False, True])

    return max(pairs, key=fit, default=None)


def _partners(runs: Mapping[str, Run], address: str) -> list[str]:
    shape = runs[address].record.image_shape
    return [a for a, run in runs.items() if a != address and run.record.image_shape == shape]


def _select(label: Literal["Left", "Right"], addresses: list[str], chosen: str) -> str:
    def take(address: str) -> None:
        left, right = st.session_state["compared"]
        st.session_state["compared"] = (address, right) if label == "Left" else (left, address)

    key = set_widget(f"compare-{label.lower()}", chosen)
    return st.sidebar.selectbox(
        label, addresses, format_func=describe, key=key, on_change=when_changed(key, take)
    )
