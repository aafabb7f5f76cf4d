"""KL divergence and usage of each latent."""

from typing import TYPE_CHECKING

from dvae_core.evaluation.latent_statistics import ACTIVE_NATS
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec

if TYPE_CHECKING:
    from dvae_core.evaluation.inputs import EvaluationInputs


def _measured(inputs: "EvaluationInputs") -> Measurement:
    statistics = inputs.statistics
    tables = {"kl": statistics.kl}
    if statistics.usage is not None:
        tables["usage"] = statistics.usage
    sampled: float | str = float(statistics.sampled_kl.sum())
    if inputs.run.record.imported is not None:
        sampled = "the noise that an imported model was trained with is not known"
    return Measurement(
        float(statistics.kl.sum()), sampled, float(statistics.active.sum()), **tables
    )


SPEC = MetricSpec(
    measure=_measured,
    scores=(
        ScoreSpec(
            "kl",
            "KL, nats",
            "KL divergence of the posterior from the prior, summed over latents and averaged over "
            "images, which understates the information in training samples if the noise scale is "
            "below 1.",
            better="",
        ),
        ScoreSpec(
            "sampled_kl",
            "KL of the training samples, nats",
            "KL divergence from the prior of the category that the noise of training selects, "
            "summed and averaged in the same way, which bounds the information in a "
            "straight-through sample but not in a soft one.",
            better="",
        ),
        ScoreSpec(
            "active_latents",
            "Active latents",
            f"Number of latents that hold more than {ACTIVE_NATS} nats about an image: the KL of a "
            "latent, for categories minus that of its aggregate posterior.",
            better="",
        ),
    ),
    estimator=lambda inputs: (
        "posterior against prior; samples at the noise scale of the step; active latents by what "
        "they hold about an image"
    ),
    seconds=5,
    source="Kingma and Welling 2014",
    needs_factors=False,
    depends_on_protocol=False,
)
