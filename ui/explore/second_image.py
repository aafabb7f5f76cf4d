"""The second image of Explore, B: an exploration of its own beside that of the start, A.

The page's link says it, as `other=factors-3.17` and, where its handles were moved, `other_code`.
"""

import streamlit as st

from dvae_core.data.dataset import Dataset
from dvae_core.errors import DataError, ModelError
from dvae_core.models.vae import VAE
from dvae_core.runs.run import Run
from ui.errors import plain
from ui.latent_board import BoardEvent
from ui.link import current_view, parse_code, set_view, write_code
from ui.selection import Code, Exploration, Start, new_move
from ui.start_picker import look_up, random_start

TOOL = "interpolation"
"""Name in the link of the tool that shows both images."""
_KEPT, _TOLD = "second-images", "second-image-told"

Explorations = tuple[Exploration, Exploration]


def open_second(
    exploration: Exploration, run: Run, model: VAE, dataset: Dataset | None
) -> Explorations:
    """The explorations of A and B as the link or this session left them; B has no start where no
    image is pinned. One that is not available is dropped, with a note."""
    address, images = exploration.address, (run.record.dataset, run.record.image_shape)
    kept: dict[str, Exploration] = st.session_state.setdefault(_KEPT, {})
    second = kept.setdefault(address, Exploration(address))
    told = st.session_state.get(_TOLD)
    start, code = _parts()
    if told is None or told[2:] != (start, code):  # a link brought them
        _take(second, start, code)
    elif told[0] != address and told[1] == images:  # another run of the same images
        pinned = Start.from_text(start)
        if pinned is not None and pinned != second.start:
            second.begin(pinned)
    second.hard = exploration.hard
    if second.start is not None:
        try:
            look_up(second.start, second.hard, model, dataset)
        except (DataError, ModelError) as error:
            st.info(plain(f"Image B is not available: {error}."), icon=":material/link_off:")
            second.start = second.code = None
    st.session_state[_TOLD] = address, images, *_tell(second)
    return exploration, second


def keep_in_link(second: Exploration) -> None:
    """Make the link say what B is now."""
    address, images, *_ = st.session_state[_TOLD]
    st.session_state[_TOLD] = address, images, *_tell(second)


def pin(pair: Explorations) -> None:
    """Keep A as B, with its handles where they stand, and show both."""
    first, second = pair
    second.begin(first.start, code=first.code)
    set_view(tool=TOOL)


def pin_random(pair: Explorations, dataset: Dataset | None) -> None:
    """Take a random image of the data set as B, or a sample of the prior."""
    pair[1].begin(random_start(dataset))


def unpin(pair: Explorations) -> None:
    """Do without B."""
    pair[1].begin(None)


def swap(pair: Explorations) -> None:
    """A becomes B, and B becomes A."""
    together = new_move()
    states = [(each.start, each.code) for each in pair]
    for each, (start, code) in zip(pair, reversed(states), strict=True):
        each.begin(start, together, code)


def take_over(pair: Explorations, codes: tuple[Code, Code], latent: int) -> None:
    """Set a latent of A to its value in B; the codes are those shown."""
    pair[0].move(_with_value(codes[0], latent, codes[1][latent]))


def move(
    pair: Explorations, codes: tuple[Code, Code], side: int, linked: bool, event: BoardEvent
) -> None:
    """A handle of a board was let go.

    Args:
        pair: of A and B.
        codes: that the boards showed.
        side: 0 for the board of A, 1 for that of B.
        linked: whether the other board sets the same latents to the same values.
        event: what the board said.
    """
    together = new_move()  # an undo then takes both back
    pair[side].move(event.code, together)
    other = codes[1 - side]
    linked_code = other
    for latent in event.moved if linked else ():
        linked_code = _with_value(linked_code, latent, event.code[latent])
    if linked_code != other:
        pair[1 - side].move(linked_code, together)


def _with_value(code: Code, latent: int, value: float) -> Code:
    return *code[:latent], value, *code[latent + 1 :]


def _parts() -> tuple[str, str]:
    view = current_view()
    return view.get("other", ""), view.get("other_code", "")


def _take(second: Exploration, start: str, code: str) -> None:
    second.start = Start.from_text(start)
    second.code = parse_code(code) if second.start is not None else None
    note = ""
    if start and second.start is None:
        note = f"The link's image B “{start[:80]}” cannot be read."
    elif code and second.code is None:
        note = "The link's code of image B cannot be read; the handles stand at its own code."
    if note:
        st.info(plain(note), icon=":material/link_off:")


def _tell(second: Exploration) -> tuple[str, str]:
    """Put B into the view of the page."""
    set_view(
        other="" if second.start is None else second.start.to_text(),
        other_code="" if second.code is None else write_code(second.code),
    )
    return _parts()
