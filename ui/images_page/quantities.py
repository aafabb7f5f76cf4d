"""What a person filters, sorts and colours images by."""

from dvae_core.analysis.conditions import factor_in_condition
from dvae_core.analysis.encoded import EncodedSet
from dvae_core.runs.names import NO_NAMES, LatentNames

CONTINUOUS = ("loss", "kl", "latent")


def quantities(encoded: EncodedSet, names: LatentNames, *more: str) -> dict[str, str]:
    """Labels of the quantities of a set, by their names in a condition: factors, loss, KL, and of
    each active latent the category, or the code where it has none; and those of `more` that a link
    brought."""
    factors = {factor_in_condition(name): name for name in encoded.factor_names}
    kind = "category" if encoded.categories is not None else "latent"
    latents = [f"{kind} {latent}" for latent in encoded.active.nonzero()[0].tolist()]
    known = factors | {name: describe(name, names) for name in ("loss", "kl", *latents)}
    return known | {name: describe(name, names) for name in more if name not in known}


def describe(quantity: str, names: LatentNames = NO_NAMES) -> str:
    """A quantity in words, with the names that people gave to latents."""
    kind, _, latent = quantity.partition(" ")
    if quantity.startswith(('"', "'")):
        return quantity[1:-1].replace(2 * quantity[0], quantity[0])
    if quantity == "loss":
        return "reconstruction loss, nats"
    if kind == "kl":
        return f"KL of {_words(latent, names)}, nats" if latent else "KL, nats"
    return {"category": "category of", "latent": "code of"}.get(kind, kind) + (
        f" {_words(latent, names)}"
    )


def _words(latent: str, names: LatentNames) -> str:
    return names.words(int(latent)) if latent.isdecimal() else f"latent {latent}"


def normalized(quantity: str) -> str:
    """The one way to write a quantity: factors quoted."""
    kind, _, latent = " ".join(quantity.split()).partition(" ")
    if quantity.startswith(("'", '"')):
        return factor_in_condition(describe(quantity))
    if quantity in ("loss", "kl") or (kind in ("latent", "category", "kl") and latent.isdecimal()):
        return quantity
    return factor_in_condition(quantity)


def is_continuous(quantity: str) -> bool:
    """Whether its values are no whole numbers."""
    return quantity.split(" ")[0] in CONTINUOUS
