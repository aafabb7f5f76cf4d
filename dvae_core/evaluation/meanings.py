"""What each score says, and which direction is good."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What a score says.

    Attributes:
        label: its name in the field.
        better: "higher", "lower", or "" where neither is.
        words: one sentence.
    """

    label: str
    better: str
    words: str


MEANINGS = {
    "mig": Meaning(
        "MIG", "higher", "How far one latent is ahead of all others in telling each factor."
    ),
    "modularity": Meaning(
        "Modularity", "higher", "Whether each latent tells about one factor only."
    ),
    "sap": Meaning(
        "SAP", "higher", "How far one latent is ahead of all others in classifying each factor."
    ),
    "dci_disentanglement": Meaning(
        "DCI disentanglement", "higher", "Whether trees need each latent for one factor only."
    ),
    "dci_completeness": Meaning(
        "DCI completeness", "higher", "Whether trees need one latent only for each factor."
    ),
    "dci_informativeness": Meaning(
        "DCI informativeness", "higher", "How well trees tell the factors from all latents."
    ),
    "dci_fast_disentanglement": Meaning(
        "DCI disentanglement (fast)", "higher", "The same, with a random forest as a stand-in."
    ),
    "dci_fast_completeness": Meaning(
        "DCI completeness (fast)", "higher", "The same, with a random forest as a stand-in."
    ),
    "dci_fast_informativeness": Meaning(
        "DCI informativeness (fast)", "higher", "The same, with a random forest as a stand-in."
    ),
    "factor_vae": Meaning(
        "FactorVAE score",
        "higher",
        "Whether the latent that varies least names the factor that was fixed.",
    ),
    "beta_vae": Meaning(
        "BetaVAE score",
        "higher",
        "Whether differences of codes tell linearly which factor was fixed.",
    ),
    "infom": Meaning("InfoM", "higher", "Modularity by normalised information, active latents."),
    "infoe": Meaning("InfoE", "higher", "How well the factors are told linearly from all latents."),
    "infoc": Meaning("InfoC", "higher", "Compactness: whether one latent tells each factor."),
    "straight_through_gap": Meaning(
        "Straight-through gap, nats",
        "lower",
        "Change of the loss when the most likely categories are decoded; needs no labels.",
    ),
    "straight_through_gap_reconstruction": Meaning(
        "Gap of the reconstruction, nats", "lower", "The same for the reconstruction alone."
    ),
    "kl": Meaning("KL, nats", "", "What all latents together say about an image, on average."),
    "active_latents": Meaning("Active latents", "", "Latents with a mean KL above 0.05 nats."),
    "reconstruction": Meaning(
        "Reconstruction, nats", "lower", "Cross entropy of an image, summed over its pixels."
    ),
    "latent_information": Meaning(
        "Information between latents, nats", "lower", "Mean over all pairs of latents."
    ),
}
