import numpy as np

from dvae_core.figures.category_lines import CategoryLine, category_lines


def test_each_line_has_its_values_its_draws_and_where_the_encoder_points() -> None:
    values = np.array([-1.0, 0.0, 1.0])
    figure = category_lines(
        [
            CategoryLine("a <b>", "#000000", values, np.array([0.0, 0.25, 0.75]), None),
            CategoryLine("b", "#111111", values, np.array([0.0, 1.0, 0.0]), 0.2),
        ]
    )
    kinds = [(trace.type, trace.yaxis) for trace in figure.data]
    assert kinds == [
        ("bar", "y"),
        ("scatter", "y"),
        ("bar", "y2"),
        ("scatter", "y2"),
        ("scatter", "y2"),
    ]
    assert figure.data[0].y.tolist() == [0.0, 0.25, 0.75]
    assert figure.data[1].x.tolist() == [-1.0, 0.0, 1.0]
    assert figure.data[4].x == (0.2,)
    names = [axis.title.text for axis in (figure.layout.xaxis, figure.layout.xaxis2)]
    assert names == ["a &#60;b&#62;", "b"]
