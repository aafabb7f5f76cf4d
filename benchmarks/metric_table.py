"""Write the table of metrics in docs/api.md from the specs of the metrics.

python -m benchmarks.metric_table
"""

from benchmarks.tables import REPOSITORY, markdown, replace_table
from dvae_core.evaluation.catalog import FAST_METRICS, MEANINGS, METRIC_SPECS

DOCUMENT = REPOSITORY / "docs" / "api.md"


def metric_table() -> str:
    """One row per score, as Markdown."""
    metric_of = {
        score.name: metric for metric, spec in METRIC_SPECS.items() for score in spec.scores
    }
    rows = [["metric", "score", "label", "meaning", "sets", "source"]]
    for name, score in MEANINGS.items():
        metric = metric_of[name]
        spec = METRIC_SPECS[metric]
        sets = {"fast": metric in FAST_METRICS, "paper": spec.in_paper}
        rows.append(
            [
                f"`{metric}`",
                f"`{name}`",
                score.label_with_arrow,
                score.meaning + ("" if spec.needs_factors else " Needs no factors."),
                ", ".join(name for name, is_in in sets.items() if is_in),
                spec.source,
            ]
        )
    return markdown(rows)


if __name__ == "__main__":
    replace_table(DOCUMENT, "metrics", metric_table())
