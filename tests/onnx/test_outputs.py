from dataclasses import fields

import pytest

from dvae_core.errors import ModelError
from dvae_core.onnx.description import OnnxLayout
from dvae_core.onnx.outputs import choose_outputs, role_of
from dvae_core.onnx.reading import Reading


@pytest.mark.parametrize(
    ("names", "role"),
    [
        ("mean mu z_mean qMu /fc_mu/Gemm_output_0 loc embedding means mu_1", "mean"),
        ("logvar log_var zLogVar z_log_variance lnvar log_covariance log_sigma2", "log_variance"),
        ("logstd log_std logSigma log_scale log_stddev", "log_std"),
        ("var fc_var variance sigma_sq sigma2", "variance"),
        ("std stddev sigma scale standard_deviation", "std"),
        ("logits", "logits"),
        ("probs probabilities softmax one_hot onehot", "probabilities"),
        ("out0 linear_1 41 rescale meaning z variable multiply", None),
        ("mu_logvar", "log_variance"),
    ],
)
def test_names_tell_what_an_output_holds(names: str, role: str | None) -> None:
    assert {name: role_of(name) for name in names.split()} == dict.fromkeys(names.split(), role)


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["params"], (0,)),
        (["a", "b"], (0, 1)),
        (["logvar", "mu"], (1, 0)),
        (["a", "mean"], (1, 0)),
        (["std", "a"], (1, 0)),
        (["mean", "mean_1"], (0, 1)),
        (["z", "mu", "std", "logvar"], (1, 3)),
    ],
)
def test_the_means_come_first(names: list[str], places: tuple[int, ...]) -> None:
    assert choose_outputs(names, has_categories=False) == places


def test_logits_go_before_probabilities() -> None:
    assert choose_outputs(["probs", "z", "logits"], has_categories=True) == (2,)
    assert choose_outputs(["sample", "probs"], has_categories=True) == (1,)


@pytest.mark.parametrize(
    ("names", "has_categories"),
    [(["a", "b", "c"], False), (["mu", "mu_1", "logvar"], False), (["a", "b"], True)],
)
def test_names_that_do_not_tell_are_refused(names: list[str], has_categories: bool) -> None:
    with pytest.raises(ModelError, match="whose names do not tell"):
        choose_outputs(names, has_categories)


def test_the_child_process_reads_what_the_record_says() -> None:
    assert {field.name for field in fields(Reading)} | {"fix"} == set(OnnxLayout.model_fields)
