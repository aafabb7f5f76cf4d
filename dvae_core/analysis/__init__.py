"""Analysis of a model beyond the scores of `evaluation`: traversals, rotations, encoded sets."""
