"""Studies of many runs: their scores, and model selection by a score that needs no labels."""
