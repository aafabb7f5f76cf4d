"""KL divergence and usage of each latent."""

from dvae_core.evaluation.latent_statistics import ACTIVE_KL, LatentStatistics
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec


def _measured(statistics: LatentStatistics) -> Measurement:
    tables = {"kl": statistics.kl}
    if statistics.usage is not None:
        tables["usage"] = statistics.usage
    return Measurement(float(statistics.kl.sum()), float(statistics.active.sum()), **tables)


SPEC = MetricSpec(
    measure=lambda inputs: _measured(inputs.statistics),
    scores=(
        ScoreSpec(
            "kl",
            "KL, nats",
            "KL divergence of the posterior from the prior, summed over latents, averaged over "
            "images.",
            better="",
        ),
        ScoreSpec(
            "active_latents",
            "Active latents",
            f"Number of latents with a mean KL above {ACTIVE_KL} nats.",
            better="",
        ),
    ),
    estimator=lambda inputs: "posterior against prior",
    seconds=5,
    source="Kingma and Welling 2014",
    needs_factors=False,
)
