"""What a model does with images and codes, beside the scores of `evaluation`."""
