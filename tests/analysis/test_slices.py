import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvae_core.analysis.conditions import (
    Comparison,
    category_condition,
    comparison_of,
    factor_in_condition,
    join_conditions,
    slice_of,
    split_condition,
)
from dvae_core.analysis.encoded import EncodedSet
from dvae_core.analysis.latent_data import latent_data
from dvae_core.analysis.slices import part_counts, slice_report, worst_reconstructions
from dvae_core.errors import ConfigError, EvaluationError
from dvae_core.evaluation.information import mutual_information_matrix
from tests.analysis.made import made_set, random_set

HUE = np.array([0, 1, 2, 3, 0, 1])
X = np.array([5, 4, 3, 2, 1, 0])
ENCODED = made_set(
    [[0.1, -1.0], [0.2, 1.0], [0.3, -1.0], [0.4, 1.0], [0.5, 0.0], [0.6, 0.0]],
    factors=np.stack([HUE, X, X % 2, HUE % 2], 1),
    names=("wall hue", "x", 'the "odd" one', "loss"),
    categories=[[0, 4], [1, 3], [2, 2], [0, 1], [1, 0], [2, 4]],
    counts=[3, 5],
    kl=[[0.1, 1.0], [0.2, 1.0], [0.3, 1.0], [0.4, 1.0], [0.5, 2.0], [0.6, 2.0]],
    losses=[10, 20, 30, 40, 50, 60],
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("wall hue = 1", [1, 5]),
        ("wall  hue==1", [1, 5]),
        ("'wall hue' != 1", [0, 2, 3, 4]),
        ("x < 2", [4, 5]),
        ("x <= 2", [3, 4, 5]),
        ("x>2", [0, 1, 2]),
        ("x >= 2", [0, 1, 2, 3]),
        ('"the ""odd"" one" = 1', [0, 2, 4]),
        ("""'the "odd" one' = 1""", [0, 2, 4]),
        ("latent 1 = -1", [0, 2]),
        ("latent 0 = 0.1", [0]),  # single precision holds no 0.1
        ("latent 0 <= 6e-1 and latent 0 > +.5", [5]),
        ("category 1 = 4", [0, 5]),
        ("loss >= 50", [4, 5]),
        ("'loss' = 1", [1, 3, 5]),
        ("kl < 1.25", [0, 1]),
        ("kl 0 >= 0.5", [4, 5]),
        ("x = 5 or x = 0 and wall hue = 0", [0]),
        ("x = 0 and wall hue = 0 or x = 5", [0]),
        ("(x = 5 or x = 0) and wall hue = 1", [5]),
        ("not x = 5 and wall hue = 0", [4]),
        ("not (x = 5 AND wall hue = 0)", [1, 2, 3, 4, 5]),
        ("Not not x = 5", [0]),
        ("x = 1 OR\n\tx=2", [3, 4]),
        ("loss < 1e39", [0, 1, 2, 3, 4, 5]),  # beyond single precision
        ("x = 2.5", []),
        ("x in 1..3", [2, 3, 4]),
        ("x in 3..1", []),
        ("latent 0 in .2..0.3", [1, 2]),
        ("'wall hue' in -1..0 and not kl in 1..1.25", [4]),
        ("loss >= 80%", [4, 5]),
        ("loss <= 20% or category 1 in 2..2", [0, 1, 2]),
        ("loss in 40%..60%", [2, 3]),
    ],
)
def test_a_condition_means_what_it_says(text: str, rows: list[int]) -> None:
    assert np.flatnonzero(slice_of(ENCODED, text)).tolist() == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 1: expected a factor, latent, category, loss or kl, found the end"),
        ("  ", "character 1: expected a factor"),
        ("x = ", "character 4: expected a number, found the end"),
        ("x", "character 2: expected =, !=, <, <=, >, >= or in, found the end"),
        ("x = y", "character 5: expected a number, found 'y'"),
        ("x = 1e999", "character 5: expected a finite number, found '1e999'"),
        ("x = ١", "expected a number"),
        ("x = 1 x = 2", "character 7: expected 'and', 'or' or the end, found 'x'"),
        ("x = 1 and", "character 10: expected a factor"),
        ("and x = 1", "character 1: expected a factor"),
        ("(x = 1", "character 7: expected ')' for the '(' at character 1, found the end"),
        ("x = 1)", "character 6: expected 'and', 'or' or the end, found ')'"),
        ("wall = 1", "character 1: no factor is called 'wall': the factors are 'wall hue', 'x'"),
        ("x < 3 and X < 3", "character 11: no factor is called 'X'"),
        ("latent 2 = 1", "character 8: expected a latent from 0 to 1, found '2'"),
        ("x in 3", "no factor is called 'x in 3'"),
        ("loss > 101%", "character 8: expected a percentile from 0% to 100%, found '101%'"),
        ("latent -1 = 1", "expected a latent from 0 to 1, found '-1'"),
        ("category = 1", "character 10: expected the number of a latent, found '='"),
        ("x ! 1", "character 3: '!' is not one of =, !="),
        ("'x = 1", 'character 1: "\'" has no closing quote'),
        ('x = 1 and "', "character 11: '\"' has no closing quote"),
        ("x\x00 = 1", "no factor is called 'x?'"),
        ("1 < x", "no factor is called '1'"),
        ("__import__('os').system('ls') = 1", "no factor is called '__import__'"),
        ("not " * 51 + "x = 1", "character 201: more than 50 levels"),
        ("(" * 51 + "x = 1" + ")" * 51, "character 51: more than 50 levels"),
        ("x = 1 or " * 112, "has 1,008 characters, but at most 1,000"),
    ],
)
def test_each_mistake_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        slice_of(ENCODED, text)
    assert message in str(raised.value)
    assert str(raised.value).isprintable()


def test_levels_are_counted_where_they_are_nested() -> None:
    assert slice_of(ENCODED, "(" * 50 + "x = 1" + ")" * 50).sum() == 1
    assert slice_of(ENCODED, " and ".join(["(not x = 1)"] * 60)).sum() == 5


def test_what_the_set_lacks_is_said() -> None:
    plain = made_set([[0.0], [1.0]])
    with pytest.raises(ConfigError, match="there are no factors"):
        slice_of(plain, "x = 1")
    with pytest.raises(ConfigError, match="have no categories: use 'latent'"):
        slice_of(plain, "category 0 = 1")


PIECES = st.sampled_from(
    ["wall hue", "x", "'", '"', "latent", "category", "loss", "kl", " 0 ", " 1", "1e9", "-.5", "=",
     "!=", "<", "<=", ">", ">=", "!", " and ", " or ", " not ", "(", ")", " ", "\n", "²", "\x00"]
)  # fmt: skip


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join)))
def test_any_text_is_a_mask_or_one_line(text: str) -> None:
    try:
        mask = slice_of(ENCODED, text)
    except ConfigError as error:
        message = str(error)
    else:
        message = ""
        assert (mask.dtype, mask.shape) == (np.dtype(bool), (6,))
    assert message.isprintable()


def test_the_word_in_may_be_part_of_a_name() -> None:
    encoded = made_set(np.zeros((3, 1)), factors=[[0], [1], [2]], names=["light in room"])
    assert slice_of(encoded, "light in room in 1..2").tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("x = 1", ["x = 1"]),
        ("x = 1 AND (loss > 2 and kl < 3) and not y = 1", ["x = 1", "(loss > 2 and kl < 3)",
                                                          "not y = 1"]),
        ("x = 1 or y = 2 and kl < 3", ["x = 1 or y = 2 and kl < 3"]),
        ("'this and that' = 1 and x = 2", ["'this and that' = 1", "x = 2"]),
    ],
)  # fmt: skip
def test_a_condition_is_split_at_and(text: str, parts: list[str]) -> None:
    assert split_condition(text) == parts


def test_splitting_and_joining_again_changes_nothing() -> None:
    text = "(x = 1 or y = 2) and z = 3"
    assert join_conditions(split_condition(text)) == text


def test_joined_parts_mean_all_of_them() -> None:
    parts = ["x = 5 or x = 0", "wall hue = 1"]
    joined = join_conditions(parts)
    assert np.flatnonzero(slice_of(ENCODED, joined)).tolist() == [5]
    assert len(split_condition(joined)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss >= 95%", Comparison("loss", ">=", "95%")),
        ("category 2 in 10..20", Comparison("category 2", "in", "10..20")),
        ('"the ""odd"" one"=1', Comparison(factor_in_condition('the "odd" one'), "=", "1")),
        ("wall  hue = 3", Comparison("wall hue", "=", "3")),
        ("not x = 1", None),
        ("(x = 1)", None),
        ("x = 1 and y = 2", None),
        ("x = y", None),
        ("x", None),
        ("'", None),
    ],
)
def test_a_single_comparison_is_taken_apart(text: str, expected: Comparison | None) -> None:
    found = comparison_of(text)
    assert found == expected
    assert found is None or comparison_of(found.to_text()) == found


def test_counts_say_which_condition_is_to_blame() -> None:
    masks = [slice_of(ENCODED, text) for text in ("x < 2", "wall hue = 3", "loss > 0")]
    counts = part_counts(masks)
    assert [count.alone for count in counts] == [2, 1, 6]
    assert [count.without for count in counts] == [1, 2, 0]
    assert part_counts([]) == []


def test_a_category_and_a_bin_are_conditions() -> None:
    data = latent_data(ENCODED, 1)
    found = slice_of(ENCODED, category_condition(data, 4))
    assert found.tolist() == (data.category == 4).tolist()
    bare = made_set(np.random.default_rng(0).normal(size=(300, 1)))
    bins = latent_data(bare, 0, num_bins=7)
    for place in range(7):
        found = slice_of(bare, category_condition(bins, place))
        assert found.tolist() == (bins.category == place).tolist()


def test_a_report_has_the_means_of_a_loop() -> None:
    report = slice_report(ENCODED, slice_of(ENCODED, "x < 2"))
    assert (report.count, report.total) == (2, 6)
    assert (report.loss, report.total_loss) == (55, 35)
    np.testing.assert_allclose(report.kl, [0.55, 2.0], rtol=1e-6)
    np.testing.assert_allclose(report.total_kl, [0.35, 8 / 6], rtol=1e-6)


def test_few_points_support_no_information() -> None:
    encoded = random_set(200, 3)
    mask = np.arange(200) < 49
    report = slice_report(encoded, mask)
    assert np.isnan(report.information).all()
    assert report.undefined == ("49 points are fewer than the 50 that this needs",) * 2
    assert report.total_undefined == ("", "")
    assert np.isfinite(report.total_information).all()
    assert np.isfinite(slice_report(encoded, np.arange(200) < 50).information).all()


def with_categories(encoded: EncodedSet) -> np.ndarray:
    assert encoded.categories is not None
    return encoded.categories.astype(np.int64)


def test_information_is_that_of_the_points_in_the_slice() -> None:
    encoded = random_set(400, 3)
    mask = slice_of(encoded, "x != 2")
    report = slice_report(encoded, mask)
    cells, factors = with_categories(encoded), encoded.factors
    expected = mutual_information_matrix(cells[mask], factors[mask], None, "miller_madow")
    np.testing.assert_allclose(report.information, expected)
    expected = mutual_information_matrix(cells, factors, None, "miller_madow")
    np.testing.assert_allclose(report.total_information, expected)


def test_bins_of_codes_are_those_of_the_whole_set() -> None:
    codes = np.linspace(0, 20, 2_000)[:, None]
    factors = np.minimum(codes, 19).astype(int)
    encoded = made_set(codes, factors=factors, names=["x"])
    report = slice_report(encoded, codes[:, 0] < 2)  # two of the 20 bins
    np.testing.assert_allclose(report.information, np.log(2), rtol=1e-4)
    np.testing.assert_allclose(report.total_information, np.log(20), rtol=1e-2)


def test_without_factors_there_is_no_matrix() -> None:
    report = slice_report(made_set([[0.0], [1.0]]), np.array([True, False]))
    assert report.information.shape == (1, 0)
    assert report.undefined == ()


def test_a_slice_that_is_none_is_refused() -> None:
    with pytest.raises(EvaluationError, match="none of the 6 images"):
        slice_report(ENCODED, slice_of(ENCODED, "x > 9"))
    for mask in (np.ones(5, bool), np.ones(6)):
        with pytest.raises(EvaluationError, match="the mask is"):
            slice_report(ENCODED, mask)  # type: ignore[arg-type]


def test_the_worst_reconstructions_come_first() -> None:
    encoded = made_set(np.zeros((5, 1)), losses=[3, 9, 1, 9, 5])
    assert worst_reconstructions(encoded, 3).tolist() == [1, 3, 4]
    mask = np.array([True, False, True, True, False])
    assert worst_reconstructions(encoded, 9, mask).tolist() == [3, 0, 2]
    with pytest.raises(EvaluationError, match="count is 0"):
        worst_reconstructions(encoded, 0)
