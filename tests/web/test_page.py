"""The page of one or two runs: what it holds, what it refuses, and that texts stay texts."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from dvae_core.data import load_dataset
from dvae_core.errors import ConfigError, DataError, ModelError
from dvae_core.runs.catalog import SHIPPED_ROOT
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from dvae_core.web.page import IMAGES, PRIOR_SAMPLES, export_page, page_html
from dvae_core.web.scripts import FOLDER, board_script

REPOSITORY = Path(__file__).parents[2]
CATEGORICAL, GAUSSIAN = (Run(SHIPPED_ROOT / f"circles-{f}") for f in ("categorical", "gaussian"))
HOSTILE = "</script><img src=x onerror=alert(1)>"


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


@pytest.fixture(scope="module")
def page() -> str:
    return page_html([GAUSSIAN, CATEGORICAL])


def test_the_codes_and_posteriors_are_those_of_the_encoder(page: str) -> None:
    content = data_of(page)
    assert len(content["starts"]) == IMAGES
    dataset = load_dataset("circles", 32)
    typical = dataset.images(torch.tensor([dataset.typical_factors()]))
    for run, shown in zip([GAUSSIAN, CATEGORICAL], content["runs"], strict=True):
        posterior = run.load_model().encode(typical)
        first = shown["images"][0]
        assert first["code"] == pytest.approx(posterior.mean_code()[0].tolist(), abs=1e-5)
        order = [row["latent"] for row in shown["board"]["rows"]]
        assert first["kl"] == pytest.approx(posterior.kl()[0, order].tolist(), abs=1e-3)
        assert [len(heights) for heights in first["posteriors"]] == [
            len(row["values"]) for row in shown["board"]["rows"]
        ]
        assert len(shown["prior"]) == PRIOR_SAMPLES
        assert len(shown["information"]["shares"]) == 2


def test_scores_have_their_protocol_and_what_they_were_measured_on(page: str) -> None:
    scores = {(row["label"], row["protocol"]): row for row in data_of(page)["scores"]}
    row = scores["MIG ↑", "paper"]
    assert all(0 < value < 1 for value in row["values"])
    assert all("10,000 points" in words for words in row["measured"])


def test_settings_that_differ_stand_side_by_side(page: str) -> None:
    settings = {name: values for name, *values in data_of(page)["settings"]}
    assert settings["latents"] == ["gaussian", "categorical"]
    assert settings["learning rate"][0] == settings["learning rate"][1]


def test_only_the_own_script_may_run_and_nothing_is_fetched(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)
    script = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert policy
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' 'wasm-unsafe-eval';" in policy[1]
    assert policy[1].startswith("default-src 'none';")  # and no connect-src
    assert "unsafe-inline" not in policy[1]
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)


def test_texts_of_a_run_end_no_element(tmp_path: Path) -> None:
    run = Run(shutil.copytree(CATEGORICAL.path, tmp_path / "named"))
    name_latent(run, 0, HOSTILE)
    page = page_html([run], note="<!-- @SCRIPT@ " + HOSTILE)
    assert page.count("</script>") == 2
    assert "<img" not in page.replace('element("img"', "")
    content = data_of(page)
    assert content["note"] == "<!-- @SCRIPT@ " + HOSTILE
    assert any(HOSTILE in row["name"] for row in content["runs"][0]["board"]["rows"])


def test_a_page_of_64x64_images_has_at_most_2_megabytes(tmp_path: Path) -> None:
    path = export_page([Run(SHIPPED_ROOT / "rooms-categorical")], tmp_path / "page.html")
    assert path.stat().st_size < 2e6
    assert [each.name for each in path.parent.iterdir()] == ["page.html"]


def test_a_run_whose_data_set_is_missing_shows_samples_of_the_prior(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object) -> None:
        raise DataError("circles.npz is not here")

    monkeypatch.setattr("dvae_core.web.page.load_dataset", missing)
    content = data_of(page_html([CATEGORICAL]))
    assert "circles.npz is not here" in content["missing"]
    assert content["starts"] == content["runs"][0]["images"] == []
    assert len(content["runs"][0]["prior"]) == PRIOR_SAMPLES


@pytest.mark.parametrize(
    ("runs", "name", "message"),
    [
        ([CATEGORICAL], "page.pdf", "must end in .html"),
        ([], "page.html", "0 runs were given"),
        ([CATEGORICAL] * 3, "page.html", "3 runs were given"),
        ([CATEGORICAL, Run(SHIPPED_ROOT / "rooms-gaussian")], "page.html", "need the same images"),
    ],
)
def test_what_is_refused_writes_nothing(
    tmp_path: Path, runs: list[Run], name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_page(runs, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_imported_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = CATEGORICAL.load_model()
    model.decoder = torch.nn.Identity()
    monkeypatch.setattr(Run, "load_model", lambda self: model)
    with pytest.raises(ModelError, match="cannot run in a browser"):
        export_page([CATEGORICAL], tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_page_is_of_today() -> None:
    """docs/exports.md has the command that writes it."""
    shipped = (REPOSITORY / "docs" / "circles.html").read_text(encoding="utf-8")
    assert board_script() in shipped
    assert (FOLDER / "page.js").read_text(encoding="utf-8") in shipped
    assert (FOLDER / "page.css").read_text(encoding="utf-8") in shipped
    assert [run["name"] for run in data_of(shipped)["runs"]] == [GAUSSIAN.id, CATEGORICAL.id]
