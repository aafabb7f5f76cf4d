"""Many runs of one folder: what they scored, and how well a score without labels selects among
them."""
