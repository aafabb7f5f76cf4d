"""Texts of strangers stay texts on every page: they are no markup, and change nothing beside them.

A stranger writes the files of a run, a data set or an upload. Each text goes to every place that
one can set; the place refuses it in one line, or all pages show it as it stands.
"""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import Message
from safetensors import safe_open
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from dvae_core.data import load_dataset
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.errors import UNSAFE, CoreError, RunError
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings, read_evaluation
from dvae_core.exchange.onnx_import import import_model
from dvae_core.runs.names import latent_names, name_latent
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp
from tests.conftest import TINY
from tests.onnx import graphs
from ui.errors import plain
from ui.images import to_png
from ui.routing import PAGES

MARKUP = ("<b>", "![i](j)", "$x$", "*x*", ":a[x]", "`x`", "%{z}", "<a href=h>")
ADDRESSES = ("www.h.x", "me@h.x", "http://h.x")
REVERSED, BROKEN, ESCAPE = "a\u202eb", "a\nb\n===", "a\x1b[31mb"
TEXTS = {
    "markup": " ".join((*MARKUP, *ADDRESSES)),
    "unsafe": f"{REVERSED} {BROKEN} {ESCAPE} a\ud800b",
    "long": "y" * 10_000,
}
LEGAL = "-_x_-"  # markup that names of runs, of their folders and of data sets may have
DATASET, STUDY = f"d{LEGAL}", f"s{LEGAL}"
FACTORS = (
    "<b> ![i](j)",
    "$x$ *x* :a[x]",
    "`x` %{z} <a href=h>",
    " ".join(ADDRESSES),
    *(f"{text} {place}" for place, text in enumerate((REVERSED, BROKEN, ESCAPE))),
)

# In Markdown, where nothing escapes it.
LIVE = (*MARKUP, "[i](j)", LEGAL, "a\nb", "\n===")
LIVE_IN_PLOTLY = ("<b>", "$x$", "%{z}", "<a href")
# What Markdown makes a link of; backslashes do not prevent it.
ADDRESS = re.compile(r"(https?://|www\.|\w@)h\.x", re.IGNORECASE)
UNSEEN_FIELDS = {"id", "form_id"}
# Fields that Streamlit shows as they stand, or does not show.
PLAIN_FIELDS = {
    ("selectbox", "options"),
    ("selectbox", "raw_value"),
    ("multiselect", "options"),
    ("text_input", "default"),
    ("text_input", "placeholder"),
    ("text_area", "default"),
    ("code", "code_text"),
    ("arrow_data_frame", "columns"),
    ("dataframe", "columns"),  # the same in later versions
    ("bidi_component", "json"),
    ("download_button", "url"),
}


def setting(file: str, *path: str | int) -> Callable[[Run, str], None]:
    """Writes a text to a place of a JSON file of a run."""

    def write(run: Run, text: str) -> None:
        content = json.loads((run.path / file).read_text())
        place: Any = content
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = text
        (run.path / file).write_text(json.dumps(content))

    return write


def rename_factor(run: Run, text: str) -> None:
    """Writes a text to the snapshots of a run."""
    for path in (run.path / "snapshots").iterdir():
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            names = json.loads(file.metadata()["factor_names"])
        save_file(arrays, path, {"factor_names": json.dumps([text, *names[1:]])})


PLACES: dict[str, Callable[[Run, str], None]] = {
    "q0": setting("notes.json", "name"),
    "q1": setting("notes.json", "notes"),
    "q2": setting("names.json", "entries", 0, "name"),
    "q3": setting("names.json", "entries", 0, "note"),
    "q4": setting("names.json", "entries", 1, "name"),
    "q5": setting("status.json", "message"),
    "q6": setting("status.json", "device"),
    "q7": setting("evaluation.json", "tables", 0, "columns", 0),
    "q8": setting("evaluation.json", "scores", 0, "reason"),
    "q9": setting("evaluation.json", "scores", 0, "estimator"),
    "p0": rename_factor,
    "p1": setting("config.json", "dataset"),
}
"""Where a stranger may write a text, by a mark that begins the text."""
PLACES_OF_IMPORTED = {"p2": setting("config.json", "imported", "decoder", "name")}


@dataclass(frozen=True)
class Strangers:
    """Folders of a data set and of runs with a text of `TEXTS` in every place that takes it.

    Attributes:
        root: with the folders `data` and `runs`.
        marks: of the places that took a text, by the text's name.
        refused: runs that a place makes damaged, by the text's name.
    """

    root: Path
    marks: dict[str, set[str]]
    refused: dict[str, list[Run]]


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Strangers:
    made = Strangers(tmp_path_factory.mktemp("strangers"), {}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVAE_DATA", str(made.root / "data"))
        patch.setenv("DVAE_RUNS", str(made.root / "runs"))
        make_dataset(made.root)
        trained, imported = make_runs(made.root)
        for name, text in TEXTS.items():
            made.marks[name], made.refused[name] = set(), []
            spread(made, trained, name, text, PLACES)
            spread(made, imported, f"imported-{name}", text, PLACES_OF_IMPORTED)
        shutil.copytree(made.root / "runs" / f"markup{LEGAL}", made.root / "runs" / STUDY / "one")
    return made


def make_dataset(folder: Path) -> None:
    """A data set whose factors have names that are markup, or that change what stands beside."""
    factors = np.indices((2,) * len(FACTORS)).reshape(len(FACTORS), -1).T
    images = np.repeat(factors[:, :, None] * 255, 32, axis=2).astype(np.uint8)  # (128, 7, 32)
    np.savez(folder / "set.npz", images=images, factors=factors, factor_names=FACTORS)
    import_images(folder / "set.npz", DATASET, ImportOptions(32))


def make_runs(folder: Path) -> tuple[Path, Path]:
    """The folders of a trained run with every file, and of an imported model; their texts are
    harmless."""
    update = {"dataset": DATASET, "snapshot_every": 12}
    run = Run.create(folder / "trained", TINY.model_copy(update=update), (1, 32, 32))
    train(run)
    run.write_notes("name", "notes")
    name_latent(run, 0, "name", note="note")
    name_latent(run, 0, "name", category=1)
    few = EvaluationSettings(points=100, test_points=50)
    metrics = ("mutual_information", "mig", "kl")
    measured = evaluate(run, load_dataset(DATASET, 32), "paper", metrics, few).model_dump()
    measured["scores"][0] |= {"value": None, "reason": "a reason"}
    run.write_evaluation(measured)
    onnx.save(graphs.decoder(), folder / "decoder.onnx")
    decoder = folder / "decoder.onnx"
    imported = import_model(folder / "imported", decoder, latents="gaussian", dataset=DATASET)
    return run.path, imported.run.path


def spread(
    made: Strangers,
    original: Path,
    name: str,
    text: str,
    places: Mapping[str, Callable[[Run, str], None]],
) -> None:
    """Copy a run, and write a text to each place that takes it. Where one refuses it, a copy with
    the text in this place becomes a run of its own."""
    accepted = made.root / "runs" / f"{name}{LEGAL}"
    shutil.copytree(original, accepted)
    name = name.removeprefix("imported-")
    for mark, write in places.items():
        draft = Run(shutil.copytree(accepted, accepted.with_name(f"{accepted.name}-{mark}")))
        write(draft, f"{mark} {text}"[:10_000])
        try:
            read_all(draft)
        except CoreError as error:
            words = str(error).replace(str(made.root), "")
            assert not UNSAFE.search(words), words
            assert len(words) < 400
            made.refused[name].append(draft)
        else:
            made.marks[name].add(mark)
            shutil.rmtree(accepted)
            draft.path.rename(accepted)


def read_all(run: Run) -> None:
    """Read every file of a run that has texts.

    Raises:
        CoreError: one is damaged.
    """
    if problem := run.problem():
        raise RunError(problem)
    latent_names(run)
    read_evaluation(run)
    for step in run.snapshot_steps():
        run.read_snapshot(step)


@pytest.fixture
def folder(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `strangers`, where the app looks for runs and data sets."""
    monkeypatch.setenv("DVAE_DATA", str(strangers.root / "data"))
    monkeypatch.setenv("DVAE_RUNS", str(strangers.root / "runs"))
    return strangers.root


def texts(message: Message, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts of a message, with the names of the fields that lead to them."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                yield from texts(one, (*path, field.name))
            elif isinstance(one, str):
                yield (*path, field.name), one


def leaves(value: Any) -> Iterator[str]:
    """All texts of a JSON value."""
    match value:
        case str():
            yield value
        case list():
            for part in value:
                yield from leaves(part)
        case dict():
            for part in value.values():
                yield from leaves(part)


def shown_messages(app: AppTest) -> Iterator[tuple[str, Message]]:
    for node in app:
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            yield node.type, proto


def assert_literal(app: AppTest) -> None:
    """Every text that a stranger has written is shown as it stands."""
    assert not app.exception
    found, wrong = 0, []
    for kind, proto in shown_messages(app):
        for path, text in texts(proto):
            found += 1
            place = kind, path[-1]
            if place == ("plotly_chart", "spec"):
                wrong += [
                    (place, leaf) for leaf in leaves(json.loads(text)) if lives_in_plotly(leaf)
                ]
            elif set(UNSAFE.findall(text)) - {"\n", "\t"}:
                wrong.append((place, text))
            elif place == ("selectbox", "options"):
                wrong += [(place, text) for part in MARKUP if plain(part) in text]
            elif place not in PLAIN_FIELDS and path[-1] not in UNSEEN_FIELDS and lives(text):
                wrong.append((place, text))
    assert not wrong
    assert found > 0


def lives(text: str) -> bool:
    """Whether Markdown makes more of a text than a text."""
    return any(part in text for part in LIVE) or bool(ADDRESS.search(text.replace("\\", "")))


def lives_in_plotly(text: str) -> bool:
    return any(part in text for part in LIVE_IN_PLOTLY) or bool(UNSAFE.search(text))


def marks_on(app: AppTest) -> set[str]:
    content = b"".join(proto.SerializeToString() for _, proto in shown_messages(app))
    return {mark for mark in (*PLACES, *PLACES_OF_IMPORTED) if f"{mark} ".encode() in content}


def test_every_place_takes_markup(strangers: Strangers) -> None:
    """Else the pages would show damaged runs alone."""
    assert {*PLACES, *PLACES_OF_IMPORTED} - strangers.marks["markup"] == {"p1"}
    assert [Run(folder).id for folder in (strangers.root / "runs" / STUDY).iterdir()] == ["one"]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_text_on_every_page(
    open_app: OpenApp, strangers: Strangers, folder: Path, name: str
) -> None:
    asked = {"run": f"runs/{name}{LEGAL}", "latent": "0", "factor": FACTORS[0]}
    seen = set[str]()
    for page in sorted(PAGES.glob("*.py")):
        app = open_app(f"pages/{page.name}", second=f"runs/markup{LEGAL}", **asked)
        assert_literal(app)
        seen |= marks_on(app)
    for imported in ("explore", "train"):
        app = open_app(f"pages/{imported}.py", run=f"runs/imported-{name}{LEGAL}")
        assert_literal(app)
        seen |= marks_on(app)
    assert strangers.marks[name] <= seen


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_refused_is_told_as_text(
    open_app: OpenApp, strangers: Strangers, folder: Path, name: str
) -> None:
    assert strangers.refused[name]
    for run in strangers.refused[name]:
        page = "train" if run.problem() else "explore"  # which reads the names
        assert_literal(open_app(f"pages/{page}.py", run=f"runs/{run.id}"))


def test_a_folder_and_its_runs_may_have_names_that_are_markup(
    open_app: OpenApp, folder: Path
) -> None:
    for view in ("runs", "course"):
        app = open_app("pages/select.py", folder=f"runs/{STUDY}", view=view)
        assert f"runs/{STUDY} (1)" in app.sidebar.selectbox[0].options
        assert_literal(app)


# With a mark at both ends, since pages shorten it. No browser sends half of a surrogate pair.
FILE = f"zq{LEGAL}{''.join(MARKUP)}www.h.x me@h.x {REVERSED}{ESCAPE}\n===zq"


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def arrays(**content: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    return buffer.getvalue()


def picture() -> bytes:
    return to_png(np.arange(1024, dtype=np.uint8).reshape(32, 32, 1))


def odd_decoder() -> bytes:
    """A decoder with an operator that nothing knows, whose names are all hostile."""
    node = onnx.helper.make_node(FILE, [FILE], ["images"], FILE)
    shapes = {FILE: ("batch", 3)}, {"images": ("batch", 1, 32, 32)}
    return bytes(graphs.model([node], {}, *shapes).SerializeToString())


def decoder_with_label() -> bytes:
    """A decoder that takes a label by a hostile name beside the code."""
    model = graphs.decoder()
    shape = ("batch", 3)
    model.graph.input.append(
        onnx.helper.make_tensor_value_info(FILE, onnx.TensorProto.FLOAT, shape)
    )
    model.graph.node.insert(0, onnx.helper.make_node("Add", ["codes", FILE], ["both"]))
    model.graph.node[1].input[0] = "both"
    return bytes(model.SerializeToString())


def table() -> bytes:
    """Names and values of a factor of two pictures."""
    return f'file,"{FILE}"\na.png,"{FILE}"\nb.png,2\n'.encode()


def labelled() -> bytes:
    """Two images with hostile names of their factors."""
    images = np.arange(2 * 32 * 32, dtype=np.uint8).reshape(2, 32, 32)
    factors = np.arange(2)[:, None].repeat(2, 1)
    return arrays(images=images, factors=factors, factor_names=[FILE, "b"])


UPLOADS: dict[str, tuple[str, dict[str, bytes]]] = {
    "no arrays": ("data", {f"{FILE}.npz": b"no zip file"}),
    "other arrays": ("data", {"a.npz": arrays(**{FILE: np.zeros(3)})}),
    "factors": ("data", {"a.npz": labelled()}),
    "damaged picture": ("data", {f"{FILE}.png": b"no picture", "b.png": picture()}),
    "class": ("data", {"a.zip": zipped({f"{FILE}/1.png": picture(), "b/2.png": picture()})}),
    "labels": ("data", {"a.png": picture(), "b.png": picture(), "labels.csv": table()}),
    "archive": ("train", {"a.zip": zipped({f"run/{FILE}": b"{}"})}),
    "checkpoint": ("models", {f"{FILE}.pt": b"PK"}),
    "operator": ("models", {"a.onnx": odd_decoder()}),
    "input": ("models", {"a.onnx": decoder_with_label()}),
}
"""The page that takes files, and the files, by what of them has a hostile text."""


@pytest.mark.parametrize("what", UPLOADS)
def test_a_text_in_an_upload_is_text(open_app: OpenApp, folder: Path, what: str) -> None:
    page, files = UPLOADS[what]
    app = open_app(f"pages/{page}.py", run=f"runs/markup{LEGAL}")
    uploads = [(name, content, "") for name, content in files.items()]
    field = app.file_uploader(key="model-decoder-0") if page == "models" else app.file_uploader[0]
    field.set_value(uploads if page == "data" else uploads[0]).run()
    if page == "models":
        app.text_input(key="model-name").set_value("mine")
        app = app.button(key="model-import").click().run()
    assert any("zq" in text for _, proto in shown_messages(app) for _, text in texts(proto))
    assert_literal(app)
