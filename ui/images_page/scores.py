"""What can be computed on a slice, beside the same of the whole set."""

import numpy as np
import streamlit as st

from dvae_core.analysis.conditions import Mask
from dvae_core.analysis.encoded import EncodedSet
from dvae_core.analysis.linking import diagonal_order
from dvae_core.analysis.slices import SliceReport, slice_report
from dvae_core.figures.information import heatmap_width, information_heatmap
from dvae_core.runs.names import LatentNames
from ui.charts import CHART_CONFIG, show_wide_chart
from ui.errors import plain
from ui.tables import THREE_DECIMALS, show_table


def show_means(encoded: EncodedSet, mask: Mask) -> None:
    """Number of images, reconstruction loss and KL of a slice, beside those of all."""
    count, total = int(np.count_nonzero(mask)), len(encoded)
    sampled = f", drawn at random from {encoded.num_images:,}" if encoded.is_sample else ""
    if count == total:
        words = [f"**{total:,}** images{sampled}"]
    else:
        words = [f"**{count:,}** of {total:,} images{sampled}"]
    for label, values in (
        ("reconstruction loss", encoded.losses),
        ("KL", encoded.total_kl),
    ):
        of_all = f"{values.mean(dtype=np.float64):,.2f}"
        if count == total:
            words.append(f"{label} **{of_all}** nats")
        elif count:
            mean = f"{values[mask].mean(dtype=np.float64):,.2f}"
            words.append(f"{label} **{mean}** nats (all: {of_all})")
    st.markdown(" · ".join(words))


def show_scores(encoded: EncodedSet, mask: Mask, names: LatentNames) -> None:
    """KL of each latent, and its information about each factor."""
    report = slice_report(encoded, mask)
    _show_kl(report, names)
    if not report.factor_names:
        st.caption("Without factors, there is no information to measure.")
        return
    if not np.isnan(report.information).all():
        _show_information("In the slice", "slice", report.information, report, names)
        for name, reason in zip(report.factor_names, report.undefined, strict=True):
            if reason:
                st.caption(plain(f"{name}: {reason}."))
    else:
        st.info(plain(f"No information in the slice: {report.undefined[0]}."))
    if not mask.all():
        _show_information("In all images", "all", report.total_information, report, names)
    st.caption(
        "Mutual information of the most likely categories (20 bins for codes without categories) "
        "and each factor, with the Miller-Madow correction. A factor that the slice fixes has no "
        "entropy, so no latent carries information about it."
    )


def _show_kl(report: SliceReport, names: LatentNames) -> None:
    import pandas as pd

    order = np.argsort(-report.total_kl, kind="stable")
    table = pd.DataFrame(
        {
            "latent": [names.words(int(latent)) for latent in order],
            "KL in the slice, nats": report.kl[order],
            "KL in all, nats": report.total_kl[order],
            "difference": (report.kl - report.total_kl)[order],
        }
    )
    numbers = dict.fromkeys(table.columns[1:], THREE_DECIMALS)
    show_table(table, column_config=numbers)


def _show_information(
    title: str, key: str, information: np.ndarray, report: SliceReport, names: LatentNames
) -> None:
    st.markdown(f"**{title}**")
    order = diagonal_order(np.nan_to_num(report.total_information))
    figure = information_heatmap(
        information, report.factor_names, order, unit="nats", latent_names=names
    )
    width = heatmap_width(len(report.factor_names), 0, names)
    show_wide_chart(figure, width, key=f"{key}-information", config=CHART_CONFIG)
