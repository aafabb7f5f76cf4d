from dvae_core.figures.scores import ScoreBar, score_bars


def test_ticks_stand_at_the_scores_of_both_other_codes() -> None:
    figure = score_bars([ScoreBar("MIG", 0.3, 0.84, 0.001), ScoreBar("<b>InfoE</b>", 0.5, 1.0)])
    run, perfect, shuffled = figure.data
    assert list(run.x) == [0.3, 0.5]
    assert (list(perfect.x), list(shuffled.x)) == ([0.84, 1.0], [0.001, None])
    assert list(run.y) == list(perfect.y) == list(shuffled.y)
    assert "<b>" not in run.y[1]
    assert figure.layout.yaxis.autorange == "reversed"


def test_a_score_below_zero_is_seen() -> None:
    figure = score_bars([ScoreBar("InfoE", -0.2, 1.0, -0.03)])
    assert figure.layout.xaxis.range[0] < -0.2
