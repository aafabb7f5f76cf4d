"""The metrics: one file each, with the name of the metric, its function and its `SPEC`."""

import pkgutil

METRIC_NAMES = tuple(module.name for module in pkgutil.iter_modules(__path__))
"""Names of all metrics, without importing them; `catalog.py` reads the specs."""
