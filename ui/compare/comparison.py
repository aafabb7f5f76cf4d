"""Two runs: choosing them, one start for both, and the link between their latents."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

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
from dvae_core.runs.names import LatentNames
from dvae_core.runs.run import Run
from ui.cached import st_encode_points, st_load_model
from ui.errors import plain
from ui.latent_board import BoardEvent
from ui.latent_names import shown_names
from ui.link import current_view, parse_code, set_view, write_code
from ui.run_picker import OPENING_RUN, describe, run_box, show_unusable
from ui.selection import Code, Exploration, Start, current_selection, new_move
from ui.start_picker import ResolvedStart, resolve_start
from ui.widgets import choose

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
        names: what people call its latents.
    """

    address: str
    run: Run
    model: VAE
    points: Representation
    exploration: Exploration
    names: LatentNames

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
        pairs: latents that encode the same factor, or share the most information.
    """

    sides: tuple[Side, Side]
    dataset: Dataset
    pairs: list[Partners]

    def move(self, side: int, match: str | None, event: BoardEvent) -> None:
        """Handles of a side were let go: their partners go where the same is meant.

        Args:
            side: 0 left, 1 right.
            match: one of `MATCHES`; None where the boards are not linked.
            event: what the board said.
        """
        moved, other = self.sides[side].exploration, self.sides[1 - side].exploration
        code = other.code
        for latent in event.moved:
            partner = self.partner(side, latent)
            if match is None or partner is None:
                continue
            values = list(code if code is not None else self._start_code(1 - side))
            values[partner] = self.link(side, latent, match).carry(event.code[latent])
            code = tuple(values)
        together = new_move()  # an undo then takes both back
        moved.move(event.code, together)
        if code != other.code:
            other.move(code, together)

    def partner(self, side: int, latent: int) -> int | None:
        """The other side's partner of a latent, or None."""
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

    @property
    def explorations(self) -> tuple[Exploration, Exploration]:
        """Of the left run and of the right one."""
        return self.sides[0].exploration, self.sides[1].exploration

    def begin(self) -> tuple[ResolvedStart, ResolvedStart]:
        """The start, looked up for both. A sample of the left prior is decoded, and the right
        model encodes that image."""
        left, right = self.sides
        resolved = resolve_start(left.exploration, left.model, self.dataset)
        if right.exploration.start is None:
            right.exploration.start = left.exploration.start
        elif (
            left.exploration.start is not None and right.exploration.start != left.exploration.start
        ):
            right.exploration.begin(left.exploration.start, left.exploration.last_move or None)
        if resolved.image is None:
            image = decode_codes(left.model, resolved.code)
            posterior = encode_image(right.model, image)
            return resolved, ResolvedStart(posterior.mean_code()[0], image, posterior)
        return resolved, resolve_start(right.exploration, right.model, self.dataset)

    def _start_code(self, side: int) -> Code:
        return tuple(self.begin()[side].code.tolist())


def choose_sides() -> tuple[tuple[str, Run], tuple[str, Run]] | None:
    """Let a person choose two runs in the side bar, the selected one and another; None, with the
    reason, where there are no two."""
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
            language=None,
        )
        return None
    selection = current_selection()
    selection.run = selection.run or first[0]
    left = run_box("Left", runs, selection.run)
    if left is None:
        known = dict(usable_runs()).get(selection.run)
        if known is not None and not known.record.has_encoder:
            st.info(plain(f"{describe(selection.run)} has no encoder, so it cannot be compared."))
        else:
            show_unusable(selection.run)
        return None
    fitting = _partners(runs, left)
    if not fitting:
        st.info(
            plain(
                f"No other run was trained on images of the same shape as {describe(left)}: choose "
                "another run on the left."
            )
        )
        return None
    if selection.second not in fitting:
        if selection.second in runs and selection.second != left:
            st.info(
                plain(
                    f"{describe(selection.second)} has images of another shape than "
                    f"{describe(left)}, so another run is on the right."
                )
            )
        selection.second = max(fitting, key=lambda right: _fit(runs[left], runs[right]))

    def take(address: str) -> None:
        selection.second = address
        set_view(second_code="")

    with st.sidebar:
        choose(
            "Right",
            {address: describe(address) for address in fitting},
            selection.second,
            name="compare-right",
            take=take,
            help="Runs on images of the same shape as those of the left run.",
        )
    return (left, runs[left]), (selection.second, runs[selection.second])


def open_comparison(left: tuple[str, Run], right: tuple[str, Run], dataset: Dataset) -> Comparison:
    """Models, codes and pairing of two runs; their start and codes as this session left them."""
    explorations = (
        current_selection().exploration(left[0]),
        _right_exploration(left[1], *right),
    )
    sides = tuple(
        Side(
            address,
            run,
            st_load_model(run),
            st_encode_points(run, dataset.name),
            exploration,
            shown_names(run),
        )
        for (address, run), exploration in zip((left, right), explorations, strict=True)
    )
    if explorations[0].start is None and dataset.has_all_combinations:
        factors = dataset.typical_factors()
        if factors == tuple(size // 2 for size in dataset.factor_sizes):
            # Off the middle, where a code stays in its place when the plane is rotated.
            factors = tuple(size // 4 for size in dataset.factor_sizes)
        explorations[0].start = Start("factors", factors)
    points = [side.points for side in sides]
    pairs = pair_latents(points[0].codes, points[1].codes, points[0].factors)
    return Comparison((sides[0], sides[1]), dataset, pairs)


def show_right_code(comparison: Comparison) -> None:
    """Make the link say the right code too: the selection's own is the left one."""
    code = comparison.sides[1].exploration.code
    set_view(second_code="" if code is None else write_code(code))


def _right_exploration(left: Run, address: str, run: Run) -> Exploration:
    """That of the selection where both runs have the same images; else one of this page, since its
    start is an image of the left run's data set."""
    if left.record.dataset == run.record.dataset:
        exploration = current_selection().exploration(address)
    else:
        others: dict[str, Exploration] = st.session_state.setdefault("compare-right-of-other", {})
        exploration = others.setdefault(address, Exploration(address))
    told = current_view().get("second_code")
    if told and exploration.code is None and not exploration.last_move:
        exploration.code = parse_code(told)
        exploration.start = current_selection().exploration().start
    return exploration


def _default(runs: Mapping[str, Run]) -> tuple[str, str] | None:
    """The opening run and its best partner, or the two runs that fit best."""
    pairs = [(left, right) for left in runs for right in _partners(runs, left)]
    return max(
        pairs,
        key=lambda pair: (pair[0] == OPENING_RUN, _fit(runs[pair[0]], runs[pair[1]])),
        default=None,
    )


def _fit(left: Run, right: Run) -> tuple[bool, bool, bool, bool]:
    """How well two runs show what the family changes; the larger, the better."""
    one, other = left.record, right.record
    categories = [FAMILIES[record.latents].has_categories for record in (one, other)]
    return (
        one.dataset == other.dataset,
        categories[0] != categories[1],
        one.objective == other.objective,
        categories == [False, True],
    )


def _partners(runs: Mapping[str, Run], address: str) -> list[str]:
    shape = runs[address].record.image_shape
    return [a for a, run in runs.items() if a != address and run.record.image_shape == shape]
