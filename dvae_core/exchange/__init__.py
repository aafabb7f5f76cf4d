"""Models in from elsewhere, and out again: a run out of ONNX files, and ONNX files out of a run."""

from dvae_core.exchange.exporting import export_model, exported_files
from dvae_core.exchange.importing import Imported, import_model

__all__ = ["Imported", "export_model", "exported_files", "import_model"]
