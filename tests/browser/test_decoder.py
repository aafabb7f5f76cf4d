"""The decoder in a real browser: its images, its order of work, and what it refuses."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, Error, Page

from dvae_core.analysis.traversal import to_pixels
from dvae_core.models.vae import VAE
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.runs.run import Run
from dvae_core.web.decoder import pack_decoder
from dvae_core.web.scripts import decoder_script

SMALL = Run(SHIPPED_ROOT / "circles-categorical")
HELPERS = """
    window.bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    window.textOf = (bytes) => {
        let text = "";
        for (const byte of bytes) text += String.fromCharCode(byte);
        return btoa(text);
    };
"""


@pytest.fixture
def blank(page: Page) -> Page:
    """An empty page with the script."""
    page.add_script_tag(content=decoder_script() + HELPERS)
    return page


def text_of(packed: bytes) -> str:
    return base64.b64encode(packed).decode()


def pixels_of(text: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape).astype(np.int64)


def some_codes(model: VAE, count: int) -> torch.Tensor:
    """Samples of the prior, and as many that differ from the first in one latent alone."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.cat([model.prior().sample(generator) for _ in range(count)])
    for place in range(count // 2, count):
        latent = place % codes.shape[1]
        values = model.latents.traversal_values(latent)
        codes[place] = codes[0]
        codes[place, latent] = values[-1 if place % 2 else 0]
    return codes


def test_shipped_runs_decode_as_on_the_server(blank: Page) -> None:
    for run in list_runs(SHIPPED_ROOT):
        model = run.load_model()
        codes = some_codes(model, 12)
        expected = to_pixels(model.decode_images(codes)).transpose(0, 3, 1, 2)
        answers = blank.evaluate(
            """([packed, codes]) => Promise.all([false, true].map(async (plain) => {
                const decoder = await createDecoder(bytesOf(packed), { plain, workers: 1 });
                const images = await decoder.decode(codes);
                decoder.close();
                return [decoder.simd, decoder.imageShape, textOf(images)];
            }))""",
            [text_of(pack_decoder(model)), codes.flatten().tolist()],
        )
        assert [simd for simd, _, _ in answers] == [True, False]
        for _, shape, text in answers:
            assert tuple(shape) == model.image_shape
            assert np.abs(pixels_of(text, expected.shape) - expected).max() <= 1, run.id
        assert expected.std() > 10, run.id


def test_images_come_in_parts_and_as_a_whole(blank: Page) -> None:
    whole, alone = blank.evaluate(
        """async (packed) => {
            const decoder = await createDecoder(bytesOf(packed));
            const codes = Float32Array.from({ length: 2 * 41 }, (_, at) => Math.sin(at));
            const size = decoder.imageShape.reduce((a, b) => a * b);
            const parts = new Uint8Array(41 * size);
            const onImages = (images, first) => parts.set(images, first * size);
            const images = await decoder.decode(codes, { onImages });
            if (textOf(parts) !== textOf(images)) throw new Error("parts differ");
            const last = await decoder.decode(codes.subarray(80));
            return [textOf(images.subarray(40 * size)), textOf(last)];
        }""",
        text_of(pack_decoder(SMALL.load_model())),
    )
    assert whole == alone


def test_the_page_goes_on_while_a_board_is_decoded(blank: Page) -> None:
    ticks, image_was_last = blank.evaluate(
        """async (packed) => {
            const decoder = await createDecoder(bytesOf(packed), { plain: true });
            let [ticks, done] = [0, false];
            const tick = () => { ticks++; if (!done) setTimeout(tick); };
            setTimeout(tick);
            const strips = Array.from({ length: 10 }, (_, row) =>
                decoder.decode(new Float32Array(38).fill(row / 10), { lane: `strip ${row}` }));
            const first = await Promise.race(strips).then(() => ticks);
            let imageWasLast = null;
            decoder.decode([0, 0], { urgent: true }).then(() => { imageWasLast = done; });
            await Promise.all(strips);
            done = true;
            return [ticks - first, imageWasLast];
        }""",
        text_of(pack_decoder(SMALL.load_model())),
    )
    assert ticks > 5
    assert image_was_last is False


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: b"", "these are no packed weights of a decoder"),
        (lambda packed: b"GIF89a" + packed, "these are no packed weights of a decoder"),
        (lambda packed: packed[:10], "damaged: their checksum is wrong"),
        (lambda packed: packed[:-2], "damaged: their checksum is wrong"),
        (lambda packed: packed[:-1] + bytes([packed[-1] ^ 1]), "damaged: their checksum is wrong"),
        (
            lambda packed: packed.replace(b"[1, 32", b"[3, 32", 1),
            "damaged: their checksum is wrong",
        ),
    ],
    ids=["empty", "another file", "cut early", "cut", "a bit", "header"],
)
def test_damaged_bytes_are_refused(
    blank: Page, damage: Callable[[bytes], bytes], message: str
) -> None:
    packed = damage(pack_decoder(SMALL.load_model()))
    with pytest.raises(Error, match=message):
        blank.evaluate("packed => createDecoder(bytesOf(packed))", text_of(packed))


def test_codes_that_make_no_sense_are_refused(blank: Page) -> None:
    blank.evaluate(
        "async packed => { window.decoder = await createDecoder(bytesOf(packed)); }",
        text_of(pack_decoder(SMALL.load_model())),
    )
    for codes, message in (
        ("[]", "codes have 0 values, expected a multiple of 2"),
        ("[1, 2, 3]", "codes have 3 values, expected a multiple of 2"),
        ("[1, NaN]", "a code has a value that is not finite"),
        ("[1, 1e300]", "a code has a value that is not finite"),
    ):
        with pytest.raises(Error, match=message):
            blank.evaluate(f"() => decoder.decode({codes})")
    blank.evaluate("() => decoder.close()")
    with pytest.raises(Error, match="the decoder is closed"):
        blank.evaluate("() => decoder.decode([0, 0])")


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        ("script-src 'unsafe-inline' 'wasm-unsafe-eval'; worker-src blob:", "simd"),
        ("script-src 'unsafe-inline'; worker-src blob:", "plain"),
        ("script-src 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'none'", "refused"),
    ],
)
def test_a_file_without_connections_decodes(
    page: Page, tmp_path: Path, policy: str, outcome: str
) -> None:
    packed = text_of(pack_decoder(SMALL.load_model()))
    (tmp_path / "page.html").write_text(
        f"""<!doctype html><meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; {policy}">
        <script>{decoder_script()}{HELPERS}
        createDecoder(bytesOf("{packed}")).then(
            async (decoder) => {{
                const image = await decoder.decode([0, 0]);
                document.title = image.length === 1024 && (decoder.simd ? "simd" : "plain");
            }},
            () => {{ document.title = "refused"; }},
        );</script>"""
    )
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("() => document.title")
    assert page.title() == outcome


def test_a_browser_without_workers_is_told(browser: Browser) -> None:
    page = browser.new_page()
    page.add_script_tag(content="delete window.Worker;" + decoder_script())
    with pytest.raises(Error, match="this browser has no workers"):
        page.evaluate("() => createDecoder(new Uint8Array())")
    page.close()


# Workers that answer when a test says so, `answer(index)`: images whose only pixel is the code.
MADE_WORKERS = """
    window.asked = []; // codes of the batches that were not answered yet
    window.settled = []; // lanes of the requests that came to their end, and their pixels
    window.Worker = class {
        postMessage({ packed, codes }) {
            if (packed) {
                const data = { imageShape: [1, 1, 1], numLatents: 1, simd: true, mostImages: 4 };
                queueMicrotask(() => this.onmessage({ data }));
            } else {
                asked.push({ worker: this, codes: [...codes] });
            }
        }
        terminate() {}
    };
    window.answer = async (index = 0) => {
        const [{ worker, codes }] = asked.splice(index, 1);
        worker.onmessage({ data: { pixels: Uint8Array.from(codes), ms: codes.length } });
        await null;
    };
    window.ask = (codes, lane, urgent = false) => {
        decoder.decode(codes, { lane, urgent }).then(
            (pixels) => settled.push([lane, pixels && [...pixels]]),
            (error) => settled.push([lane, error.message]),
        );
    };
    window.start = async (workers) => {
        window.decoder = await createDecoder(new Uint8Array(1), { workers });
    };
"""


@pytest.fixture
def made(page: Page) -> Page:
    """A page whose decoder has made workers."""
    page.add_script_tag(content=MADE_WORKERS + decoder_script())
    return page


def steps(page: Page, *lines: str) -> Any:
    """Run lines of JavaScript, and return the codes being decoded and the requests settled."""
    return page.evaluate(
        f"""async () => {{
            {";".join(lines)};
            await new Promise(requestAnimationFrame);
            return [asked.map(({{ codes }}) => codes), settled];
        }}"""
    )


def test_a_newer_request_takes_the_place_of_one_that_waits(made: Page) -> None:
    asked, settled = steps(
        made, "await start(1)", *(f"ask([{code}], 'image')" for code in (1, 2, 3))
    )
    assert (asked, settled) == ([[1]], [["image", None]])
    asked, settled = steps(made, "await answer()", "await answer()")
    assert (asked, settled[1:]) == ([], [["image", [1]], ["image", [3]]])


def test_urgent_requests_go_first_and_strips_take_turns(made: Page) -> None:
    asked, _ = steps(
        made, "await start(1)", *(f"ask([{row}, {row}], 'strip {row}')" for row in (1, 2, 3))
    )
    assert asked == [[1, 1]]
    # The strips that still wait go before new ones, with their newest code.
    asked, _ = steps(
        made,
        *(f"ask([{row}, {row}], 'strip {row}')" for row in (11, 12, 13)),
        *(f"ask([{row + 20}, 0], 'strip {row}')" for row in (1, 2, 3)),
        "ask([99], 'image', true)",
        "await answer()",
    )
    assert asked == [[99]]
    order = []
    for _ in range(6):
        asked, _ = steps(made, "await answer()")
        order += [codes[0] for codes in asked]
    assert order == [22, 23, 11, 12, 13, 21]


def test_a_strip_that_was_begun_comes_to_its_end(made: Page) -> None:
    codes = list(range(10))
    steps(made, "await start(2)", f"ask({codes}, 'strip')", "ask([77], 'strip')")
    _, settled = steps(made, "while (asked.length) await answer()")
    assert ["strip", codes] in settled
    assert ["strip", [77]] in settled


def test_an_older_image_never_comes_after_a_newer_one(made: Page) -> None:
    steps(made, "await start(2)", "ask([1], 'image', true)", "ask([2], 'image', true)")
    _, settled = steps(made, "await answer(1)", "await answer(0)")
    assert settled == [["image", [2]], ["image", None]]


def test_what_waits_can_be_dropped(made: Page) -> None:
    steps(made, "await start(1)", *(f"ask([{row}], 'row {row}')" for row in (1, 2, 3, 4)))
    asked, settled = steps(made, "decoder.drop('row 2')", "await answer()")
    assert (asked, settled) == ([[3]], [["row 2", None], ["row 1", [1]]])
    asked, settled = steps(made, "decoder.drop()", "await answer()")
    assert (asked, settled[2:]) == ([], [["row 4", None], ["row 3", [3]]])


def test_a_crash_reaches_all_requests(made: Page) -> None:
    _, settled = steps(
        made,
        "await start(1)",
        "ask([1], 'a')",
        "ask([2], 'b')",
        "asked[0].worker.onerror({ message: 'out of memory' })",
        "ask([3], 'c')",
    )
    assert sorted(settled) == [[lane, "out of memory"] for lane in "abc"]
