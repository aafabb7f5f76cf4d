"""Method: the two families, their noise, their KL, and the code between categories."""

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from dvae_core.analysis.traversal import decode_codes, to_pixels
from dvae_core.config import Sampling
from dvae_core.figures.compare import distribution_bars
from dvae_core.models.latents import CategoricalPosterior, GaussianPosterior, Posterior
from dvae_core.models.vae import VAE, reconstruction_loss
from ui.cached import COMPUTING
from ui.charts import NO_TOOLBAR
from ui.images import show_image
from ui.method.sections import show_heading

NUM_CATEGORIES = 16
NUM_SAMPLES = 4000


@st.fragment
def show_families() -> None:
    """One latent of each family, and samples of it."""
    show_heading("families")
    st.markdown(
        "A VAE's encoder maps an image to a distribution over codes; its decoder maps a code of "
        "$N$ scalars to an image. The families differ only in that distribution. A **Gaussian** "
        "latent has a mean and a variance of its own. A **categorical** one has $K$ ordered "
        "categories, each at a fixed position on a line, and the encoder outputs a logit for "
        "each. The decoder never sees a one-hot vector: it reads a position on that line."
    )
    st.latex(
        r"\begin{gathered}z_i = \mu_i + \sigma_i\,\epsilon \qquad\text{or}\qquad "
        r"z_i = \sum_{k=1}^{K} q_{ik}\, v_k\\ q_i = \mathrm{softmax}(\ell_i),"
        r"\quad v = \mathrm{linspace}(-1, 1, K)\end{gathered}"
    )
    with st.container(horizontal=True):
        centre = st.slider("Posterior mean", -1.0, 1.0, 0.3, 0.05, key="centre")
        width = st.slider("Posterior width", 0.03, 0.8, 0.2, 0.01, key="width")
    posteriors: dict[str, Posterior] = {
        "Gaussian": GaussianPosterior(
            torch.tensor([[centre]]), torch.tensor([[2 * np.log(width)]], dtype=torch.float32)
        ),
        f"categorical, K = {NUM_CATEGORIES}": peaks(((centre, 1.0),), width),
    }
    for column, (name, posterior) in zip(st.columns(2), posteriors.items(), strict=True):
        with column:
            st.markdown(f"**{name}**")
            values = torch.linspace(-1, 1, NUM_CATEGORIES if "K" in name else 81)
            density = posterior.density([values])[0][0].numpy()
            st.plotly_chart(
                distribution_bars(values.numpy(), {"q(z | x)": density}, unit="q"),
                key=f"family-{name[0]}",
                config=NO_TOOLBAR,
            )
            with st.container(horizontal=True):
                st.metric("Noise-free code", f"{posterior.mean_code().item():.3f}")
                st.metric("KL from the prior", f"{posterior.kl().item():.3f} nats")
    st.markdown(
        "**The prior** of a Gaussian latent is a standard normal; that of a categorical latent "
        "is uniform over its categories. The KL from the uniform is at most $\\ln K$ nats per "
        "latent."
    )
    st.latex(
        r"\begin{gathered}\mathrm{KL}(q_i \,\|\, \mathrm{uniform}) ="
        r"\sum_k q_{ik}\,(\ln q_{ik} + \ln K)\\ \le \ln K\end{gathered}"
    )


@st.fragment
def show_noise() -> None:
    """The noise scale at work."""
    show_heading("noise")
    st.markdown(
        "A sample adds Gumbel noise to the logits. The usual method divides by a temperature "
        "that falls during training, so that samples become harder. Here the temperature stays "
        "at 1, and the **noise** is scaled instead: small at first, so that the decoder reads "
        "nearly the expected code; large at the end, so that only well-separated logits get "
        "through. The reference implementation raises the scale along half a cosine over the "
        "$T$ steps of a run. Only at $s = 1$ is the largest noisy logit a draw from the posterior. "
        "Below 1, samples are sharper, and hold more about the image than the KL charges."
    )
    st.latex(
        r"\begin{gathered}z_i = \sum_k \mathrm{softmax}(\ell_i + s\,g_i)_k\, v_k,\quad "
        r"g_{ik}\sim\mathrm{Gumbel}\\ s(t) = 1.25 - 0.75\cos(\pi t / T)\end{gathered}"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = st.slider("Noise scale s", 0.0, 3.0, 0.5, 0.05, key="noise-scale")
        sampling: Sampling = st.segmented_control(
            "Sample",
            ["soft", "straight_through"],
            format_func=lambda name: name.replace("_", " "),
            default="soft",
            required=True,
            key="sampling",
            help="Soft: the expectation under the noisy logits. Straight through: the value of the "
            "largest of them, with the gradient of the soft one.",
        )
    posterior = peaks(((0.2, 1.0),), 0.25, scale)
    logits = posterior.logits.expand(NUM_SAMPLES, -1, -1)
    drawn = CategoricalPosterior(logits, posterior.values, scale)
    samples = drawn.sample(torch.Generator().manual_seed(0), sampling)[:, 0].numpy()
    values = np.linspace(-1, 1, 33)
    counts, _ = np.histogram(samples, bins=33, range=(-1 - 1 / 32, 1 + 1 / 32))
    st.plotly_chart(
        distribution_bars(
            values, {f"{NUM_SAMPLES:,} samples": counts / NUM_SAMPLES}, unit="share of samples"
        ),
        key="noise-samples",
        config=NO_TOOLBAR,
    )
    st.caption(
        f"Logits fixed, expected code {posterior.mean_code().item():.3f}. Standard deviation of "
        f"the samples {samples.std():.3f}. KL of the posterior {posterior.kl().item():.2f} nats; "
        "KL of the category that this noise makes the most likely one "
        f"{posterior.sampled_kl(scale).item():.2f} nats."
    )


@st.fragment
def show_gap(model: VAE | None, image: Tensor | None) -> None:
    """Two places that the encoder cannot decide between, and the code that lies between them.

    Args:
        model: categorical, or None.
        image: (C, H, W), whose other latents are kept.
    """
    show_heading("gap")
    st.markdown(
        "When the posterior of a latent has two peaks, the expected code is a **third** "
        "position between them. A decoder trained on such codes does worse when it reads the "
        "most likely category instead. This cost is the **straight-through gap**: the "
        "difference between the mean loss with the most likely categories and with the expected "
        "code, noise-free, on the same images. It needs no labels. Where every latent encodes one "
        "thing clearly, the gap is small. The paper proposes it for selecting models without "
        "labels. In the studies of this project, it often selected a run with a low MIG "
        "(docs/results.md); Select tests it on your runs."
    )
    st.latex(
        r"\mathrm{gap} = \bigl|\mathbb{E}\,\mathcal{L}(v_{\arg\max_k q_{ik}})"
        r" - \mathbb{E}\,\mathcal{L}(\textstyle\sum_k q_{ik} v_k)\bigr|"
    )
    with st.container(horizontal=True):
        low = st.slider("First peak", -1.0, 1.0, -0.6, 0.05, key="gap-low")
        high = st.slider("Second peak", -1.0, 1.0, 0.7, 0.05, key="gap-high")
        share = st.slider("Weight of the second peak", 0.0, 1.0, 0.45, 0.05, key="gap-share")
    num_categories = model.latents.category_counts[0] if model is not None else NUM_CATEGORIES
    posterior = peaks(((low, 1 - share), (high, share)), 0.1, num_categories=num_categories)
    st.plotly_chart(
        distribution_bars(
            posterior.values[0].numpy(),
            {"q(z | x)": posterior.probabilities()[0, 0].numpy()},
            unit="q",
        ),
        key="gap-posterior",
        config=NO_TOOLBAR,
    )
    soft, hard = posterior.mean_code().item(), posterior.mode_code().item()
    with st.container(horizontal=True):
        st.metric("Expected code", f"{soft:.3f}")
        st.metric("Value of the most likely category", f"{hard:.3f}")
    if model is None or image is None:
        st.caption("With a categorical run, this section also shows the images of both codes.")
        return
    with torch.inference_mode(), COMPUTING:
        codes = model.encode(image[None]).mean_code().repeat(2, 1)  # (1, N) -> (2, N)
        codes[:, 0] = torch.tensor([soft, hard])
        images = decode_codes(model, codes)
        # The image of the most likely category is taken as the one to reconstruct.
        losses = reconstruction_loss(model.decode(codes), images[1:].expand(2, -1, -1, -1))
    between, likely = to_pixels(images)
    with st.container(horizontal=True, gap="medium"):
        show_image(between, "expected code", 96)
        show_image(likely, "most likely category", 96)
    st.caption(
        f"Both codes are set on latent 0 of the run. If the right image is the one to reconstruct, "
        f"the left one costs {(losses[0] - losses[1]).item():.1f} nats more. The gap measures such "
        f"differences on images of the data, where the most likely category usually costs more."
    )


@st.fragment
def show_cardinalities() -> None:
    """A latent with as many categories as its factor has values."""
    show_heading("cardinalities")
    st.markdown(
        "Labels are expensive, but the number of values of a factor is often known: four shapes, "
        "fifteen angles. Latent $j$ can then have exactly $K_j$ categories: the logits of the "
        "others are masked. The idea is the paper's; its reference code does not include it, so "
        "**this is our interpretation** (`train --known-cardinalities`): logits masked to "
        "$-\\infty$, positions $\\mathrm{linspace}(-1, 1, K_j)$, KL from the uniform over the "
        "$K_j$ that are left."
    )
    with st.container(horizontal=True):
        count = st.slider("Values of the factor, K_j", 2, NUM_CATEGORIES, 4, key="cardinality")
        width = st.slider("Posterior width", 0.05, 0.8, 0.25, 0.01, key="cardinality-width")
    posterior = peaks(((0.3, 1.0),), width, num_categories=count)
    st.plotly_chart(
        distribution_bars(
            posterior.values[0].numpy(),
            {"q(z | x)": posterior.probabilities()[0, 0].numpy()},
            unit="q",
        ),
        key="cardinality-posterior",
        config=NO_TOOLBAR,
    )
    with st.container(horizontal=True):
        st.metric("KL from the uniform over K_j", f"{posterior.kl().item():.3f} nats")
        st.metric("Its ceiling, ln K_j", f"{np.log(count):.3f} nats")


def peaks(
    places: tuple[tuple[float, float], ...],
    width: float,
    noise_scale: float = 1.0,
    num_categories: int = NUM_CATEGORIES,
) -> CategoricalPosterior:
    """Posterior of one latent for one image, a bell at each (place, share)."""
    values = torch.linspace(-1, 1, num_categories)
    mass = torch.full_like(values, 1e-9)
    for place, share in places:
        bell = (-0.5 * ((values - place) / width).square()).softmax(0)
        mass += share * bell
    return CategoricalPosterior(mass.log()[None, None], values[None], noise_scale)
