"""Time to decode in the browser, beside the server's way, for each shipped run.

    python -m benchmarks.browser_decoder

*Image* is the large image of a board, from the request to its pixels, alone and right after the
request of a *board*: 19 thumbnails in the row of each latent. *Plain* is without WebAssembly. The
server decodes the same frames, rounds and packs them; network, unpacking and Streamlit come on top.
*Error* is the largest difference from the server's pixels over samples of the prior, codes of data
and ends of traversals.
Needs requirements-dev.txt and Chromium.
"""

import base64
import statistics
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Page
from torch import Tensor

from benchmarks.app import chromium
from benchmarks.tables import head, row
from benchmarks.timing import seconds
from dvae_core.analysis.traversal import to_pixels, traverse_all
from dvae_core.data import load_dataset
from dvae_core.models.vae import VAE
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.runs.run import Run
from dvae_core.system.memory import keep_freed_memory
from dvae_core.web.board import encode_frames
from dvae_core.web.decoder import pack_decoder
from dvae_core.web.page import page_html
from dvae_core.web.scripts import decoder_script

THUMBNAILS = 19  # of a row, as many as fit beside the image of a board 1,400 pixels wide
CODES = 100  # of each kind that are compared
REPEATS = 15
MEASURE = """async ([packed, code, strips, compared, repeats]) => {
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
    const measure = async (work, count = repeats) => {
        const times = [];
        for (let call = 0; call < count; call++) {
            const began = performance.now();
            await work();
            times.push(performance.now() - began);
        }
        return median(times);
    };
    const found = {};
    for (const way of ["simd", "plain"]) {
        const began = performance.now();
        const decoder = await createDecoder(bytes, { plain: way === "plain" });
        if (decoder.simd !== (way === "simd")) throw new Error(`no ${way}`);
        const start = performance.now() - began;
        const image = await measure(() => decoder.decode(code, { urgent: true }));
        const all = () => strips.map((codes, row) => decoder.decode(codes, { lane: row }));
        // The plain way takes seconds.
        const board = await measure(() => Promise.all(all()), decoder.simd ? repeats : 1);
        const waits = [];
        for (let call = 0; decoder.simd && call < repeats; call++) {
            const strips = all();
            const asked = performance.now();
            await decoder.decode(code, { urgent: true });
            waits.push(performance.now() - asked);
            await Promise.all(strips);
        }
        let text = "";
        for (const byte of await decoder.decode(compared)) text += String.fromCharCode(byte);
        found[way] = { start, image, board, busy: median(waits), pixels: btoa(text) };
        decoder.close();
    }
    return found;
}"""


def main() -> None:
    keep_freed_memory()  # as the app does
    image, board = "image, ms", "board, ms"
    of_run = ("run", "image size", "weights, MB", "start, ms")
    of_browser = (image, f"{image}, during a board", "thumbnails", board)
    of_others = (f"{image}, plain", f"{board}, plain", f"{board}, server", "frames, MB", "error")
    of_page = ("page, MB",)
    print(head(*of_run, *of_browser, *of_others, *of_page))
    with chromium() as browser:
        for run in list_runs(SHIPPED_ROOT):
            page = browser.new_page()
            page.add_script_tag(content=decoder_script())
            print(measured(run, page), flush=True)
            page.close()


def measured(run: Run, page: Page) -> str:
    """The row of a run."""
    model = run.load_model()
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        of_data = model.encode(dataset.sample_images(CODES, generator)).mean_code()
    code, rows = of_data[0], thumbnail_values(model)
    compared = torch.cat([of_data, samples_and_ends(model, of_data)])
    strips = [with_latent(code, latent, values) for latent, values in enumerate(rows)]
    packed = pack_decoder(model)
    arguments = [base64.b64encode(packed).decode(), code.tolist()]
    arguments += [[strip.flatten().tolist() for strip in strips], compared.flatten().tolist()]
    found: dict[str, Any] = page.evaluate(MEASURE, [*arguments, REPEATS])
    simd, plain = found["simd"], found["plain"]

    def serve() -> str:
        frames = [to_pixels(images) for images in traverse_all(model, code, rows)]
        return encode_frames(frames, frames[0][0], "").packed

    with torch.inference_mode():
        expected = to_pixels(model.decode_images(compared)).transpose(0, 3, 1, 2).astype(int)
        served = 1e3 * statistics.median(seconds(serve, REPEATS))
        megabytes = len(serve()) / 1e6
    error = max(
        np.abs(np.frombuffer(base64.b64decode(way["pixels"]), np.uint8) - expected.ravel()).max()
        for way in (simd, plain)
    )
    channels, size, _ = model.image_shape
    return row(
        *(run.id, f"{size}x{size}x{channels}", f"{len(packed) / 1e6:.2f}"),
        *(f"{simd['start']:.0f}", f"{simd['image']:.1f}", f"{simd['busy']:.1f}"),
        *(sum(map(len, rows)), f"{simd['board']:.0f}"),
        *(f"{plain['image']:.1f}", f"{plain['board']:.0f}"),
        *(f"{served:.0f}", f"{megabytes:.2f}", f"{error}/255"),
        f"{len(page_html([run])) / 1e6:.2f}",
    )


def thumbnail_values(model: VAE) -> list[Tensor]:
    """Values of the thumbnails of each latent, N times (at most 19,)."""
    rows = []
    for latent in range(model.latents.num_latents):
        values = model.latents.traversal_values(latent)
        spread = torch.linspace(0, len(values) - 1, min(THUMBNAILS, len(values)))
        rows.append(values[spread.round().long()])
    return rows


def samples_and_ends(model: VAE, of_data: Tensor) -> Tensor:
    """Samples of the prior, and codes of data with one latent at either end of its values."""
    generator = torch.Generator().manual_seed(0)
    codes = [model.prior().sample(generator) for _ in range(CODES)]
    for latent in range(of_data.shape[1]):
        ends = model.latents.traversal_values(latent)[[0, -1]]
        codes += [with_latent(code, latent, ends) for code in of_data[: CODES // 10]]
    return torch.cat(codes)


def with_latent(code: Tensor, latent: int, values: Tensor) -> Tensor:
    """Codes (P, N): `code` (N,) with one latent set to each of `values` (P,)."""
    codes = code.repeat(len(values), 1)
    codes[:, latent] = values
    return codes


if __name__ == "__main__":
    main()
