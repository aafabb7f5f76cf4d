"""Try hostile files of all kinds, and print what the project makes of them.

    nice -n 19 python -m benchmarks.hostile --count 1000 [--seed 0] [--write]

Each trial runs in a process of its own: a sound file is changed at random, taken in as a person
would do it, and where it is accepted as a run, every page of the app opens on it. The results are
kept, so that the same command goes on where it was interrupted; the files of crashes are kept too.
With `--write` the table replaces the one of docs/reliability.md. Nothing else is written outside
`--folder`.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.hostile.kinds import KINDS
from benchmarks.hostile.originals import make_runs
from benchmarks.hostile.trial import Result, try_number
from benchmarks.tables import REPOSITORY, markdown, replace_table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="trials, of all kinds in turn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help="only this kind")
    parser.add_argument("--folder", type=Path, help="of results; default: a temporary one")
    parser.add_argument("--write", action="store_true", help="replace the table in the document")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.gettempdir(), f"dvae-hostile-{asked.seed}")
    originals = folder / "originals"
    if not originals.is_dir():
        shutil.rmtree(folder / "draft", ignore_errors=True)
        (folder / "draft").mkdir(parents=True)
        make_runs(folder / "draft")
        (folder / "draft").rename(originals)
    log = folder / "results.jsonl"
    results = {result.number: result for result in _read(log)}
    for number in range(asked.count):
        kind = list(KINDS)[number % len(KINDS)]
        if number in results or asked.kind not in (None, kind):
            continue
        place = folder / f"trial-{number}"
        shutil.rmtree(place, ignore_errors=True)
        result = try_number(number, asked.seed, originals, place)
        results[number] = result
        with open(log, "a") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        if result.outcome == "crashed":
            print(f"{number}, {kind}: {result.reason}\n  {place}", flush=True)
        else:
            shutil.rmtree(place, ignore_errors=True)
    table = result_table(result for result in results.values() if result.number < asked.count)
    print(table)
    if asked.write:
        replace_table(REPOSITORY / "docs" / "reliability.md", "hostile", table)


def result_table(results: Iterable[Result]) -> str:
    """A row for each kind."""
    rows: list[tuple[str, ...]] = [
        ("kind", "tried", "accepted", "refused", "crashed", "most memory", "slowest")
    ]
    of_kind: dict[str, list[Result]] = {kind: [] for kind in KINDS}
    for result in results:
        of_kind[result.kind].append(result)
    for kind, found in of_kind.items():
        outcomes = [result.outcome for result in found]
        counts = [outcomes.count(outcome) for outcome in ("accepted", "refused", "crashed")]
        memory = max((result.megabytes for result in found), default=0.0)
        seconds = max((result.seconds for result in found), default=0.0)
        rows.append(
            (kind, *map(str, (len(found), *counts)), f"{memory:,.0f} MB", f"{seconds:.1f} s")
        )
    return markdown(rows)


def _read(log: Path) -> Iterator[Result]:
    if log.is_file():
        for line in log.read_text().splitlines():
            yield Result(**json.loads(line))


if __name__ == "__main__":
    main()
