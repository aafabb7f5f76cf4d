"""Models in the ONNX format: checked, run, and written.

A file from anyone is first looked at and tried in a child process (`check.py`, which asks
`worker.py`): its graph without running it (`graph.py`), then its answers to a trial batch
(`trial.py`). Only then is it opened here (`session.py`), behind the networks of an ordinary VAE
(`network.py`). `export.py` writes such files.
"""
