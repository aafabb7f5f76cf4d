"""Mutual information of each latent with each factor: the heat map."""

from dvae_core.evaluation.information import Information, measure_information
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec


def _measured(information: Information) -> Measurement:
    return Measurement(
        mutual_information=information.matrix, factor_entropy=information.factor_entropy
    )


SPEC = MetricSpec(
    measure=lambda inputs: _measured(
        measure_information(inputs.cells, inputs.factors, *inputs.counting)
    ),
    scores=(),
    estimator=lambda inputs: inputs.counting_in_words,
    seconds=0.01,
)
