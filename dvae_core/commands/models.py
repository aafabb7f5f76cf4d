"""The commands for ONNX models: export-model, import-model."""

from dataclasses import dataclass
from pathlib import Path

from dvae_core.commands.command import Command, RunFolder, check_range
from dvae_core.commands.output import say
from dvae_core.config import CATEGORY_RANGE, FamilyName
from dvae_core.onnx.description import OnnxLayout


@dataclass(frozen=True)
class ExportModel(Command):
    """Export the model of a run as ONNX files.

    Attributes:
        output: folder to create
    """

    run_dir: RunFolder
    output: Path

    def run(self) -> int:
        from dvae_core.exchange.onnx_export import export_model
        from dvae_core.runs.run import Run

        folder = export_model(Run(self.run_dir), self.output)
        files = sorted(path.name for path in folder.iterdir())
        say(f"{folder}: {', '.join(files)}")
        self.print_json({"output": str(folder), "files": files})
        return 0


@dataclass(frozen=True)
class ImportModel(Command):
    """Import a model that was trained in other software, as ONNX files (see docs/models.md).

    Attributes:
        name: name of the new run, which joins your own runs
        decoder: ONNX file that maps codes (batch, N) to images (batch, C, H, W)
        latents: family of the latents
        dataset: data set on which the model was trained
        layout: How to read the tensors of the ONNX files.
        encoder: ONNX file that maps images to means and log variances, or to category logits;
            without it, the model can only be traversed from samples of the prior
        num_categories: number of categories K; required for a categorical decoder without encoder
        category_values: JSON file with the value of each category; required unless the values
            form an even grid from -1 to 1
        latent_names: model.json of an export, whose names of latents the new run gets
    """

    name: str
    decoder: Path
    latents: FamilyName
    dataset: str
    layout: OnnxLayout
    encoder: Path | None = None
    num_categories: int | None = None
    category_values: Path | None = None
    latent_names: Path | None = None

    def run(self) -> int:
        from dvae_core.exchange.model_description import read_description
        from dvae_core.exchange.onnx_import import import_model, read_category_values
        from dvae_core.runs.catalog import own_folder

        check_range("--num-categories", self.num_categories, *CATEGORY_RANGE)
        values = read_category_values(self.category_values) if self.category_values else ()
        described = read_description(self.latent_names) if self.latent_names else None
        imported = import_model(
            own_folder(self.name),
            self.decoder,
            self.encoder,
            latents=self.latents,
            dataset=self.dataset,
            layout=self.layout,
            num_categories=self.num_categories,
            category_values=values,
            latent_names=(described.latent_names or ()) if described else (),
        )
        run = imported.run
        for note in imported.notes:
            say(f"note: {note}")
        shape = "x".join(map(str, run.record.image_shape))
        say(
            f"{run.path}: {run.record.num_latents} {run.record.latents} latents, "
            f"images of {shape}, {run.record.origin}"
        )
        self.print_json({"run": str(run.path), "notes": imported.notes})
        return 0
