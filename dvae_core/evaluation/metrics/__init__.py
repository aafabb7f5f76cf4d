"""The metrics, one file each, on plain arrays or on a model and its data set."""
