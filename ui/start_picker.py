"""Choosing where to start: an image of the data set, an uploaded one, or a sample of the prior."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from dvae_core.analysis.reconstruction import encode_image, read_image
from dvae_core.analysis.traversal import to_pixels
from dvae_core.data.dataset import Dataset
from dvae_core.data.imported.dataset import ImportedFrom, imported_at, read_imported_header
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.imported.source import PICTURE_SUFFIXES
from dvae_core.errors import DataError
from dvae_core.models.latents import Posterior
from dvae_core.models.vae import VAE
from ui.errors import errors_shown, plain
from ui.selection import Exploration, Start
from ui.uploads import keep_upload, read_upload
from ui.widgets import when_changed, widget_key

KINDS = {"data": "Data set", "upload": "Your image", "prior": "Prior"}


@dataclass(frozen=True)
class ResolvedStart:
    """A start, looked up.

    Attributes:
        code: (N,), its own code.
        image: (C, H, W); None for a sample of the prior.
        posterior: of the image; None for a sample of the prior.
    """

    code: Tensor
    image: Tensor | None = None
    posterior: Posterior | None = None


def resolve_start(exploration: Exploration, model: VAE, dataset: Dataset | None) -> ResolvedStart:
    """Look up an exploration's start, and take the nearest sensible one where it has none."""
    if exploration.start is not None:
        try:
            return look_up(exploration.start, exploration.hard, model, dataset)
        except DataError as error:
            st.info(plain(f"This start is not available: {error}."), icon=":material/link_off:")
            exploration.code = None
    exploration.start = first_start(dataset)
    return look_up(exploration.start, exploration.hard, model, dataset)


def checked_code(exploration: Exploration, model: VAE, resolved: ResolvedStart) -> Tensor:
    """The code of an exploration, (N,). One that a link brought and the model does not have is put
    right, with a note."""
    code = exploration.code
    if code is not None and len(code) != len(resolved.code):
        st.info(
            f"The link's code has {len(code)} values, but this model has "
            f"{len(resolved.code)} latents: the handles stand at the start."
        )
        exploration.code = code = None
    low, high = model.latents.code_range
    if code is not None and not all(low <= value <= high for value in code):
        st.info(f"The link's code leaves the range {low:g} to {high:g} and was clamped to it.")
        exploration.code = code = tuple(min(max(value, low), high) for value in code)
    return resolved.code if code is None else torch.tensor(code)


def first_start(dataset: Dataset | None) -> Start:
    """Where an exploration begins that nobody gave a start."""
    if dataset is None:
        return Start("prior", (0,))
    if not dataset.factor_sizes:
        return Start("image", (0,))
    return Start("factors", dataset.typical_factors())


def random_start(dataset: Dataset | None) -> Start:
    """A random image of the data set, or a random sample of the prior where there is none."""
    random = np.random.default_rng()
    if dataset is None:
        return Start("prior", (int(random.integers(1, 10**6)),))
    if not dataset.factor_sizes:
        return _start_at(int(random.integers(len(dataset))), "image", dataset)
    # Without factors each image has its own number.
    instance = int(random.integers(1, 10**6)) if dataset.is_noisy else 0
    return _start_at(int(random.integers(len(dataset))), "factors", dataset, instance)


def start_at_image(number: int, dataset: Dataset) -> Start:
    """The start at an image by its number in `Dataset.points_at`; where chance varies the images of
    the same factors, at one of them."""
    if _is_named_by_number(dataset):
        return Start("image", (number,))
    return _start_at(number, "factors", dataset)


def factors_of_start(start: Start | None, dataset: Dataset) -> tuple[int, ...] | None:
    """The factors (F,) of a start in a data set with factors; None where it has none."""
    if start is None or not dataset.factor_sizes or start.kind not in ("factors", "image"):
        return None
    if start.kind == "factors":
        return start.numbers
    if not _is_named_by_number(dataset) or start.numbers[0] >= dataset.num_images:
        return None
    return tuple(dataset.points_at(torch.tensor(start.numbers))[0][0].tolist())


def _is_named_by_number(dataset: Dataset) -> bool:
    """Whether factors do not say which image is meant."""
    return not dataset.factor_sizes or dataset.num_images > len(dataset)


def choose_start(
    exploration: Exploration,
    model: VAE,
    dataset: Dataset | None,
    key: str,
    *,
    label: str = "Start from",
    shortcut: str | None = "n",
) -> None:
    """The controls that choose a start.

    Args:
        exploration: takes the start.
        model: of the exploration.
        dataset: offers its images.
        key: of the widgets.
        label: of the control that chooses the kind.
        shortcut: key for another random start.
    """
    kinds = dict(KINDS)
    if dataset is None:
        del kinds["data"]
    if model.encoder is None:
        del kinds["upload"]
    start = exploration.start or first_start(dataset)
    shown = "data" if start.kind in ("factors", "image") else start.kind
    # A person who asks for an upload gives no start yet: the control waits at the start before.
    if "upload" in kinds and st.session_state.get(f"{key}-awaiting") == start:
        shown = "upload"
    kind_key = widget_key(f"{key}-kind", shown)

    def take_kind(kind: str) -> None:
        st.session_state[f"{key}-awaiting"] = start if kind == "upload" else None
        if kind == "prior":
            exploration.begin(Start("prior", (0,)))
        elif kind == "data":
            exploration.begin(first_start(dataset))

    kind = st.segmented_control(
        label,
        list(kinds),
        format_func=kinds.__getitem__,
        default=shown,
        key=kind_key,
        required=True,
        on_change=when_changed(kind_key, take_kind),
    )
    if kind == "data" and dataset is not None:
        _choose_from_data(exploration, dataset, key, shortcut)
    elif kind == "prior":
        _choose_from_prior(exploration, key, shortcut)
    else:
        _choose_upload(exploration, model, dataset, key)


def look_up(start: Start, hard: bool, model: VAE, dataset: Dataset | None) -> ResolvedStart:
    """Look up a start.

    Args:
        start: an image or a sample of the prior.
        hard: whether its code is that of the most likely categories.
        model: encodes the image.
        dataset: that the image may come from.

    Raises:
        DataError: there is no such image.
    """
    if start.kind == "prior":
        generator = torch.Generator().manual_seed(start.numbers[0])
        return ResolvedStart(model.latents.sample_prior(1, generator)[0])
    if start.kind == "upload":
        pixels = torch.from_numpy(read_upload(start.upload, model.image_shape))
        image = pixels.movedim(-1, 0).float() / 255
    else:
        image = _data_image(start, dataset)
    posterior = encode_image(model, image)
    code = posterior.mode_code() if hard else posterior.mean_code()
    return ResolvedStart(code[0], image, posterior)


def _data_image(start: Start, dataset: Dataset | None) -> Tensor:
    if dataset is None:
        raise DataError("the data set of this run cannot be read")
    generator = torch.Generator(dataset.device).manual_seed(start.instance)
    if start.kind == "factors" and dataset.factor_sizes:
        return dataset.images(torch.tensor([start.numbers]), generator)[0]
    if (
        start.kind == "image"
        and _is_named_by_number(dataset)
        and start.numbers[0] < dataset.num_images
    ):
        return dataset.points_at(torch.tensor(start.numbers), generator)[1][0]
    raise DataError(f"{dataset.name} has no image “{start.to_text()}”")


def _choose_from_data(
    exploration: Exploration, dataset: Dataset, key: str, shortcut: str | None
) -> None:
    kind: Literal["factors", "image"] = "factors" if dataset.factor_sizes else "image"

    def current() -> Start:
        start = exploration.start
        if start is not None and start.kind == kind:
            return start
        factors = factors_of_start(start, dataset)
        return first_start(dataset) if factors is None else Start("factors", factors)

    resolved = current()
    numbers = resolved.numbers
    # Most combinations of the factors of a sample have no image: it is chosen by number.
    by_factor = dataset.has_all_combinations

    def pick_value(place: int, value: int) -> None:
        now = current().numbers
        exploration.begin(Start(kind, (*now[:place], value, *now[place + 1 :])))

    def pick_image(index: int) -> None:
        exploration.begin(_start_at(index, kind, dataset))

    if by_factor:
        for place, name in enumerate(dataset.factor_names):
            last = dataset.factor_sizes[place] - 1
            _show_slider(f"{key}-{place}", name, last, numbers[place], partial(pick_value, place))
    else:
        index = _index_of(numbers, dataset)
        _show_slider(f"{key}-image", "image", len(dataset) - 1, index, pick_image)

    def step(by: int) -> None:
        index = (_index_of(numbers, dataset) + by) % len(dataset)
        exploration.begin(_start_at(index, kind, dataset))

    has_instances = dataset.is_noisy and kind == "factors"
    with st.container(horizontal=True):
        st.button(
            "",
            icon=":material/chevron_left:",
            key=f"{key}-previous",
            help="Previous image",
            on_click=step,
            args=(-1,),
        )
        st.button(
            "",
            icon=":material/chevron_right:",
            key=f"{key}-next",
            help="Next image",
            on_click=step,
            args=(1,),
        )
        st.button(
            "Random",
            icon=":material/shuffle:",
            key=f"{key}-random",
            shortcut=shortcut,
            on_click=lambda: exploration.begin(random_start(dataset)),
        )
        if has_instances:
            st.button(
                "Another instance",
                key=f"{key}-instance",
                help="Another image with the same factors. Images of this data set also vary by "
                "chance.",
                on_click=lambda: exploration.begin(
                    replace(resolved, instance=resolved.instance + 1)
                ),
            )
    if not by_factor and dataset.factor_sizes:
        values = zip(dataset.factor_names, numbers, strict=True)
        st.caption(plain(" · ".join(f"{name} {value}" for name, value in values)))


def _show_slider(key: str, name: str, last: int, value: int, pick: Callable[[int], None]) -> None:
    """A slider from 0 to `last`; none for a single value."""
    if last > 0:
        widget = widget_key(f"{key}-number", value)
        st.slider(plain(name), 0, last, value, key=widget, on_change=when_changed(widget, pick))


def _start_at(
    index: int, kind: Literal["factors", "image"], dataset: Dataset, instance: int = 0
) -> Start:
    if kind == "image":
        return Start("image", (index,))
    factors = dataset.factors_at(torch.tensor([index]))[0].tolist()
    return Start("factors", tuple(factors), instance)


def _index_of(numbers: tuple[int, ...], dataset: Dataset) -> int:
    if not dataset.factor_sizes:
        return numbers[0]
    return int(dataset.indices_of(torch.tensor([numbers]))[0])


def _choose_from_prior(exploration: Exploration, key: str, shortcut: str | None) -> None:
    seed = (
        exploration.start.numbers[0]
        if exploration.start and exploration.start.kind == "prior"
        else 0
    )
    st.caption(f"Prior sample {seed}: a code with no original image.")
    st.button(
        "Another sample",
        icon=":material/casino:",
        key=f"{key}-sample",
        shortcut=shortcut,
        on_click=lambda: exploration.begin(Start("prior", (seed + 1,))),
    )


def _reading_of(dataset: Dataset | None) -> ImportedFrom:
    """How the pictures of an imported data set were read, so that an upload is read alike."""
    if dataset is None or not imported_at(dataset.name):
        return ImportedFrom()
    return read_imported_header(dataset.name).about


def _choose_upload(exploration: Exploration, model: VAE, dataset: Dataset | None, key: str) -> None:
    file = st.file_uploader(
        "Picture", type=[suffix[1:] for suffix in PICTURE_SUFFIXES], key=f"{key}-file"
    )
    if note := st.session_state.get(f"{key}-note"):
        st.caption(plain(note))
    if file is None or file.file_id == st.session_state.get(f"{key}-file-read"):
        return
    st.session_state[f"{key}-file-read"] = file.file_id
    st.session_state[f"{key}-note"] = ""
    with errors_shown():
        about = _reading_of(dataset)
        options = ImportOptions(fit=about.fit, background=about.background)
        image, note = read_image(file.getvalue(), model.image_shape, options, about.ranges)
        exploration.begin(Start("upload", upload=keep_upload(to_pixels(image))))
        st.session_state[f"{key}-note"] = note
        st.rerun()
