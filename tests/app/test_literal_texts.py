"""Names of factors and runs are never markup, on any page."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from dvae_core.config import RunConfig
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp
from ui.errors import plain
from ui.routing import PAGES

NAMES = ("<b>x</b>", "[a](http://x)", "$x$", "*x*", ":red[x]", "`x`", "%{z}")
OUTSIDE = ("![i](http://h.x/i)", "<a href=http://h.x>y</a>", "http://h.x/p www.h.x", "me@h.x")
FACTORS = (*NAMES[:4], *(f"{name} {text}" for name, text in zip(NAMES[4:], OUTSIDE, strict=False)))
PLOTLY_MARKUP = ("<b>x</b>", "$x$", "%{z}", "<a href")
# What Markdown makes a link of; backslashes do not prevent it.
ADDRESS = re.compile(r"(https?://|www\.|\w@)h\.x", re.IGNORECASE)
STRANGER = "[a](b) *c* www.h.x"
# Fields that Streamlit shows as they stand, or does not show.
PLAIN_FIELDS = {
    ("selectbox", "options"),
    ("selectbox", "raw_value"),
    ("multiselect", "options"),
    ("text_input", "default"),
    ("text_area", "default"),
    ("code", "code_text"),
    ("arrow_data_frame", "columns"),
    ("dataframe", "columns"),  # the same in later versions
    ("bidi_component", "json"),
    ("download_button", "url"),
}


@pytest.fixture
def hostile_runs(own_folders: Path, tiny_config: RunConfig) -> None:
    """Two runs on a data set whose factors have names that are markup; so has one of the runs."""
    factors = np.indices((2,) * len(FACTORS)).reshape(len(FACTORS), -1).T
    images = np.repeat(factors[:, :, None] * 255, 32, axis=2).astype(np.uint8)  # (128, 7, 32)
    np.savez(own_folders / "hostile.npz", images=images, factors=factors, factor_names=FACTORS)
    import_images(own_folders / "hostile.npz", "hostile", ImportOptions(32))
    for family in ("categorical", "gaussian"):
        update = {"dataset": "hostile", "latents": family, "snapshot_every": 12}
        config = tiny_config.model_copy(update=update)
        run = Run.create(own_folders / "runs" / family, config, (1, 32, 32))
        train(run)
        run.write_notes(f"{NAMES[3]} {OUTSIDE[0]}", f"{NAMES[0]} {OUTSIDE[2]}")
        for latent, name in enumerate((" ".join(NAMES[:4]), " ".join(NAMES[4:]))):
            name_latent(run, latent, name, note=" ".join((*NAMES, *OUTSIDE)))
        if family == "categorical":
            name_latent(run, 0, OUTSIDE[2], category=1)
            name_latent(run, 0, " ".join(NAMES), category=0)
            stranger = Run(shutil.copytree(run.path, own_folders / "runs" / STRANGER))
            record = json.loads((stranger.path / "config.json").read_text())
            record["dataset"] = " ".join(OUTSIDE)  # of a data set that nobody has
            (stranger.path / "config.json").write_text(json.dumps(record))


def texts(message: Message, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts of a message, with the names of the fields that lead to them."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                yield from texts(one, (*path, field.name))
            elif isinstance(one, str):
                yield (*path, field.name), one


@pytest.mark.parametrize(
    ("page", "run"),
    [
        *((path.stem, "categorical") for path in sorted(PAGES.glob("*.py"))),
        *((page, STRANGER) for page in ("explore", "train")),
    ],
)
def test_no_name_is_markup(open_app: OpenApp, hostile_runs: None, page: str, run: str) -> None:
    app = open_app(f"pages/{page}.py", run=f"runs/{run}", latent="0", factor=FACTORS[0])
    assert not app.exception
    assert_literal(app)


def assert_literal(app: AppTest) -> None:
    """Every text that a stranger has written is shown as it stands."""
    found = 0
    for node in app:
        proto = getattr(node, "proto", None)
        if not isinstance(proto, Message):
            continue
        for path, text in texts(proto):
            place = (node.type, path[-1])
            if node.type == "plotly_chart" and path[-1] == "spec":
                shown = json.dumps(json.loads(text), ensure_ascii=False)
                assert not [name for name in PLOTLY_MARKUP if name in shown], place
            elif place not in PLAIN_FIELDS:
                assert not [name for name in (*NAMES, *OUTSIDE) if name in text], (place, text)
                assert not ADDRESS.search(text.replace("\\", "")), (place, text)
            elif place == ("selectbox", "options"):
                assert not [name for name in NAMES if plain(name) in text], (place, text)
            found += 1
    assert found > 0
