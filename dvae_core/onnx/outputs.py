"""Telling the outputs of an encoder apart by their names."""

import re
from collections.abc import Sequence

from dvae_core.errors import ModelError

# What the parameters of a posterior are called, the more specific names first: "log_sigma" holds
# "sigma". Only whole words count, so "rescale" is no scale.
_NAMES = {
    "log_variance": r"(log|ln)_?(var|variance|cov|covariance|sigma_?(2|sq|squared))",
    "log_std": r"(log|ln)_?(std|stddev|std_dev|sigma|scale|sd|standard_deviation)",
    "variance": r"var|variance|cov|covariance|sigma_?(2|sq|squared)",
    "std": r"std|stddev|std_dev|sigma|scale|sd|standard_deviation",
    "mean": r"mean|mu|loc|embedding",
    "logits": r"logit",
    "probabilities": r"prob|probability|probabilities|softmax|one_?hot",
}
_PATTERNS = {role: re.compile(rf"(^|_)[zq]?({names})s?\d*(_|$)") for role, names in _NAMES.items()}
SPREADS = ("log_variance", "log_std", "variance", "std")


def role_of(name: str) -> str | None:
    """The parameter of a posterior that an output of this name holds, a key of the names above, or
    None. A name that holds two, such as "mu_logvar", is that of the second."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)  # zLogVar -> z_Log_Var
    words = re.sub(r"[^a-z0-9]+", "_", words.lower())
    return next((role for role, pattern in _PATTERNS.items() if pattern.search(words)), None)


def choose_outputs(names: Sequence[str], has_categories: bool) -> tuple[int, ...]:
    """Places of the outputs that parametrise the posterior, the means first.

    Args:
        names: of all outputs, in their order.
        has_categories: whether the latents are categorical.

    Raises:
        ModelError: there are too many outputs, and their names do not tell. The message continues
            a sentence about the file.
    """
    roles = [role_of(name) for name in names]
    if has_categories:
        if len(names) == 1:
            return (0,)
        for role in ("logits", "probabilities"):
            if roles.count(role) == 1:
                return (roles.index(role),)
    else:
        spreads = [role for role in SPREADS if role in roles][:1]
        if roles.count("mean") == 1 and spreads and roles.count(spreads[0]) == 1:
            return roles.index("mean"), roles.index(spreads[0])
        if len(names) == 2:
            mean_is_second = roles[1] == "mean" != roles[0]
            other_is_first = roles[0] in SPREADS and roles[1] is None
            return (1, 0) if mean_is_second or other_is_first else (0, 1)
        if len(names) == 1:
            return (0,)
    listed = ", ".join(name[:40] for name in names[:8])
    wanted = "logits" if has_categories else "means and log variances"
    raise ModelError(
        f"it has {len(names)} outputs ({listed}), whose names do not tell which are the {wanted}: "
        f"give their places as encoder outputs, or export only these"
    )
