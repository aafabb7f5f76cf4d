"""Models in the ONNX format: checked, run, and written.

`check.py` first has a file tried in a child process: `graph.py` looks at its graph without running
it, then `trial.py` runs it on a trial batch. Only then does `session.py` open it here, behind the
networks of an ordinary VAE (`network.py`). `export.py` writes such files.
"""
