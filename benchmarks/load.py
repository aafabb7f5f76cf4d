"""Many tabs at once: release times, page switches, memory and threads of the server.

    python -m benchmarks.load [--tabs 20] [--minutes 10] [--every 5]

Each tab is a web socket that speaks Streamlit's messages as a browser does, without drawing. Every
few seconds it lets a handle of the board go somewhere else, and now and then it opens another page
and comes back. Nothing else should run on the machine.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from benchmarks.app import served
from benchmarks.tables import markdown

RUNS = ("circles-categorical", "rooms-categorical", "sprites-categorical", "rooms-gaussian")
PAGES = ("compare", "factors", "latents", "images")
SWITCH_SHARE = 0.2
PATIENCE_SECONDS = 120.0
SAMPLE_SECONDS = 10.0
FAILED = ForwardMsg.FINISHED_WITH_COMPILE_ERROR


@dataclass
class Measured:
    """What all tabs saw.

    Attributes:
        seconds: of each action, by its kind.
        errors: in words.
        samples: minutes since the start, MB and threads of the server.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    samples: list[tuple[float, float, int]] = field(default_factory=list)


class Tab:
    """A browser's tab.

    Args:
        connection: to the app.
        run: the shipped run that it shows.
        chance: decides what it does.
    """

    def __init__(self, connection: ClientConnection, run: str, chance: random.Random) -> None:
        self._connection, self._query, self._chance = connection, f"run=checkpoints/{run}", chance
        self._pages: dict[str, str] = {}  # hashes of the pages by their names
        self._page = ""
        self._board: dict[str, Any] = {}
        self._board_id = self._fragment = self._running = ""

    async def open(self, page: str) -> None:
        """Open a page, and wait until its script has ended."""
        self._page, self._board = page, {}
        hash_ = self._pages.get(page, "")
        asked = ClientState(query_string=self._query, page_script_hash=hash_)
        await self._send(asked)
        await self._until(
            lambda message: (
                message.WhichOneof("type") == "script_finished"
                and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                and (not hash_ or self._running == hash_)  # and not that of an earlier run
            )
        )

    async def release(self) -> None:
        """Let a handle go at another value, and wait for the board of the new code."""
        rows = [row for row in self._board["rows"] if len(row["values"]) > 1]
        row = self._chance.choice(rows)
        code, sequence = list(self._board["code"]), self._board["answered"] + 1
        others = [value for value in row["values"] if value != code[row["latent"]]]
        code[row["latent"]] = self._chance.choice(others)
        value = {"latent": row["latent"], "value": code[row["latent"]]}
        value |= {"code": code, "sequence": sequence}
        if "decoder" in self._board:  # the browser has it, so its weights need not come again
            value["decoder"] = self._board["decoder"]["id"]
        event = {"event": "release", "value": value}
        asked = ClientState(
            query_string=self._query,
            page_script_hash=self._pages.get(self._page, ""),
            fragment_id=self._fragment,
        )
        state = asked.widget_states.widgets.add()
        state.id = f"$$STREAMLIT_INTERNAL_KEY_{self._board_id}__events"
        state.json_trigger_value = json.dumps([event])
        await self._send(asked)
        await self._until(lambda _: self._board.get("answered") == sequence)
        if self._board["code"][row["latent"]] != code[row["latent"]]:
            raise RuntimeError("the board shows another code")

    async def _send(self, asked: ClientState) -> None:
        await self._connection.send(BackMsg(rerun_script=asked).SerializeToString())

    async def _until(self, is_done: Callable[[ForwardMsg], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = ForwardMsg.FromString(await self._connection.recv(decode=False))
                self._read(message)
                if is_done(message):
                    return

    def _read(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._running = message.new_session.page_script_hash
        if kind == "navigation":
            self._pages = {p.url_pathname: p.page_script_hash for p in message.navigation.app_pages}
        if kind == "script_finished" and message.script_finished == FAILED:
            raise RuntimeError("the script did not compile")
        if kind != "delta":
            return
        element = message.delta.new_element
        if element.HasField("exception"):
            raise RuntimeError(element.exception.message)
        if element.HasField("bidi_component"):
            data = element.bidi_component.json
            if data and "state_id" in data and self._page == "":
                (self._board,) = json.loads(data)
                self._board_id = element.bidi_component.id
                self._fragment = message.delta.fragment_id


async def _act(address: str, number: int, every: float, end: float, measured: Measured) -> None:
    chance = random.Random(number)
    url = f"{address.replace('http', 'ws')}/_stcore/stream"
    await asyncio.sleep(chance.random() * every)
    protocols = [Subprotocol("streamlit")]
    async with connect(
        url, subprotocols=protocols, origin=Origin(address), max_size=None
    ) as connection:
        tab = Tab(connection, RUNS[number % len(RUNS)], chance)

        async def timed(kind: str, action: Coroutine[Any, Any, None]) -> None:
            start = time.monotonic()
            try:
                await action
            except Exception as error:
                measured.errors.append(f"{kind}: {type(error).__name__} {error}"[:200])
            else:
                measured.seconds[kind].append(time.monotonic() - start)

        await timed("first page", tab.open(""))
        while time.monotonic() < end:
            await asyncio.sleep(every * (0.5 + chance.random()))
            if chance.random() < SWITCH_SHARE:
                page = chance.choice(PAGES)
                await timed(f"open {page}", tab.open(page))
                await timed("back to explore", tab.open(""))
            else:
                await timed("release", tab.release())


async def _sample(server: psutil.Process, end: float, measured: Measured) -> None:
    start = time.monotonic()
    while (now := time.monotonic()) < end:
        megabytes = server.memory_info().rss / 2**20
        measured.samples.append(((now - start) / 60, megabytes, server.num_threads()))
        await asyncio.sleep(SAMPLE_SECONDS)


async def _measure(address: str, tabs: int, minutes: float, every: float) -> Measured:
    measured, end = Measured(), time.monotonic() + 60 * minutes
    port = int(address.rpartition(":")[2])
    (server,) = (
        process
        for process in psutil.Process().children()
        if any(used.laddr.port == port for used in process.net_connections("tcp"))
    )
    acting = [_act(address, number, every, end, measured) for number in range(tabs)]
    await asyncio.gather(_sample(server, end, measured), *acting)
    return measured


def _tables(measured: Measured) -> str:
    def seconds(values: list[float]) -> tuple[str, str]:
        ordered = sorted(values)
        return f"{statistics.median(ordered):.2f}", f"{ordered[int(0.95 * (len(ordered) - 1))]:.2f}"

    times = [
        (kind, str(len(values)), *seconds(values))
        for kind, values in sorted(measured.seconds.items())
    ]
    step = max(1, len(measured.samples) // 10)
    memory = [
        (f"{minute:.1f}", f"{megabytes:,.0f}", str(threads))
        for minute, megabytes, threads in measured.samples[::step]
    ]
    return "\n\n".join(
        [
            markdown([("action", "count", "median, s", "95 %, s"), *times]),
            markdown([("minute", "memory, MB", "threads"), *memory]),
            f"{len(measured.errors)} errors" + "".join(f"\n- {e}" for e in measured.errors[:10]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two actions")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as own, served(own, own) as address:
        measured = asyncio.run(_measure(address, asked.tabs, asked.minutes, asked.every))
    print(_tables(measured))


if __name__ == "__main__":
    main()
