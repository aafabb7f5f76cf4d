"""The modules of all pages, which a trial has from the process that it is forked from.

They take four seconds to import, several times as long as most trials.
"""

from functools import cache
from importlib import import_module
from pkgutil import walk_packages

import pandas.io.formats.style  # noqa: F401 (imported by functions, as the next ones)
import plotly.graph_objects
import plotly.subplots  # noqa: F401
from streamlit.components.v2 import manifest_scanner

import ui
from dvae_core import analysis, evaluation, exchange, figures, jobs, selection, training

for package in (ui, analysis, evaluation, exchange, figures, jobs, selection, training):
    for found in walk_packages(package.__path__, f"{package.__name__}."):
        if found.name != "ui.main":  # the script, which would run
            import_module(found.name)

# It reads the metadata of every installed package, and every page asks for it.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
manifest_scanner.scan_component_manifests()
