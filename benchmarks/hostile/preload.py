"""The modules of all pages, which a trial has from the process that it is forked from.

They take four seconds to import, several times as long as most trials.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from types import ModuleType

import pandas.io.formats.style  # noqa: F401 (imported by functions, as the next ones)
import plotly.graph_objects
import plotly.subplots  # noqa: F401
from streamlit.components.v2 import manifest_scanner

import dvae_core
import ui


def _import_all(package: ModuleType, but: Iterable[str] = ()) -> None:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name.rpartition(".")[2] not in but:
            importlib.import_module(found.name)


_import_all(ui, but=("main",))  # the script itself
for name in ("analysis", "evaluation", "exchange", "figures", "jobs", "selection", "training"):
    _import_all(importlib.import_module(f"{dvae_core.__name__}.{name}"))

# It reads the metadata of every installed package, and every page asks for it.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
manifest_scanner.scan_component_manifests()
