"""The metrics: one file each, named as the metric is, with its function and its `SPEC`."""

import pkgutil

METRIC_NAMES = tuple(module.name for module in pkgutil.iter_modules(__path__))
"""Every metric, by name. Nothing is imported for it; `catalog.py` reads the specs."""
