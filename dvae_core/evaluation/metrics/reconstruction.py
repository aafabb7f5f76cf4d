"""Reconstruction error of the mean code."""

from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec

SPEC = MetricSpec(
    measure=lambda inputs: Measurement(inputs.statistics.reconstruction_error),
    scores=(
        ScoreSpec(
            "reconstruction",
            "Reconstruction, nats",
            "Cross entropy of the image decoded from the mean code, summed over pixels.",
            better="lower",
        ),
    ),
    estimator=lambda inputs: "image of the mean code; Bernoulli cross entropy",
    seconds=5,
    source="Kingma and Welling 2014",
    needs_factors=False,
    depends_on_protocol=False,
)
