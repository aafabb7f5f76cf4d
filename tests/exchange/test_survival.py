"""Whatever kills an import or an export, what it writes is whole or not there."""

from pathlib import Path

import pytest

from dvae_core.exchange.archive import export_run
from dvae_core.exchange.onnx_export import export_model
from dvae_core.exchange.onnx_import import import_model
from dvae_core.runs.run import Run
from tests.killing import Deaths, ReportKills, run_program
from tests.onnx import graphs

WORKS = {
    "import-run": "imports of an archive",
    "import-model": "imports of an ONNX model",
    "export-run": "exports of an archive",
    "export-model": "exports of an ONNX folder",
    "export-page": "exports of a page",
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", WORKS)
def test_what_a_killed_import_or_export_writes_is_whole_or_not_there(
    tmp_path: Path, tiny_run: Run, command: str, kills: int, report_kills: ReportKills
) -> None:
    given = tmp_path / "given"
    encoder, decoder = tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"
    encoder.write_bytes(graphs.encoder((3, 3)).SerializeToString())
    decoder.write_bytes(graphs.decoder(3).SerializeToString())
    run = import_model(
        tmp_path / "mine",
        decoder,
        encoder,
        latents="gaussian",
        dataset="circles",
        latent_names=("first", "", "third"),
    ).run
    export_model(run, given)
    (given / "tiny.zip").write_bytes(export_run(tiny_run))
    lines = run_program("tests.exchange.mortal", command, tmp_path, 6, kills)
    deaths = Deaths.read(lines)
    assert deaths.count == kills
    assert deaths.during_a_write >= kills / 20
    report_kills(WORKS[command], deaths, "whole or not there, and nothing left")
