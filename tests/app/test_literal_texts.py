"""Names of factors and runs are never markup, on any page."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message

from dvae_core.config import RunConfig
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp
from ui.errors import plain

NAMES = ("<b>x</b>", "[a](http://x)", "$x$", "*x*", ":red[x]", "`x`", "%{z}")
PLOTLY_MARKUP = ("<b>x</b>", "$x$", "%{z}")
# Fields that Streamlit shows as they stand, or does not show.
PLAIN_FIELDS = {
    ("selectbox", "options"),
    ("selectbox", "raw_value"),
    ("multiselect", "options"),
    ("text_input", "default"),
    ("text_area", "default"),
    ("code", "code_text"),
    ("arrow_data_frame", "columns"),
    ("bidi_component", "json"),
    ("download_button", "url"),
}


@pytest.fixture
def hostile_runs(own_folders: Path, tiny_config: RunConfig) -> None:
    """Two runs on a data set whose factors have names that are markup; so has one of the runs."""
    factors = np.indices((2,) * len(NAMES)).reshape(len(NAMES), -1).T
    images = np.repeat(factors[:, :, None] * 255, 32, axis=2).astype(np.uint8)  # (128, 7, 32)
    np.savez(own_folders / "hostile.npz", images=images, factors=factors, factor_names=NAMES)
    import_images(own_folders / "hostile.npz", "hostile", ImportOptions(32))
    for family in ("categorical", "gaussian"):
        update = {"dataset": "hostile", "latents": family, "snapshot_every": 12}
        config = tiny_config.model_copy(update=update)
        run = Run.create(own_folders / "runs" / family, config, (1, 32, 32))
        train(run)
        run.write_notes(NAMES[3], NAMES[0])
        for latent, name in enumerate((" ".join(NAMES[:4]), " ".join(NAMES[4:]))):
            name_latent(run, latent, name, note=" ".join(NAMES))
        if family == "categorical":
            name_latent(run, 0, " ".join(NAMES), category=0)


def texts(message: Message, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts of a message, with the names of the fields that lead to them."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                yield from texts(one, (*path, field.name))
            elif isinstance(one, str):
                yield (*path, field.name), one


@pytest.mark.parametrize(
    "page",
    ["explore", "compare", "factors", "latents", "train", "select", "data", "method", "models"],
)
def test_no_name_is_markup(
    open_app: OpenApp, hostile_runs: None, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(f"pages/{page}.py", run="runs/categorical", latent="0", factor=NAMES[0])
    assert not app.exception
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
                assert not [name for name in NAMES if name in text], (place, text)
            elif place == ("selectbox", "options"):
                assert not [name for name in NAMES if plain(name) in text], (place, text)
            found += 1
    assert found > 0
