"""`python -m bench`: measures the rows and prints one table; `--json FILE` keeps every value."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

from bench import rounds, table
from bench.rows import ROWS

DISK = Path("/var/tmp")  # by its definition on a disk, where fsync costs what it costs


def main() -> int:
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended too
    chosen = [ROWS[name] for name in arguments.rows or ROWS]
    results = []
    for row in chosen:
        print(f"measuring {row.name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="silkmill-bench-", dir=DISK) as place:
            results.append(rounds.measure(row, arguments.rounds, Path(place)))
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "kernel": platform.release()}
    print("\n".join(table.as_lines(results)))
    print(f"medians of {arguments.rounds} rounds; {machine}")
    if arguments.json:
        report = {"machine": machine, "rounds": arguments.rounds, "rows": table.as_values(results)}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=_rows, metavar="A,B", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--rounds", type=_positive, default=5, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


def _rows(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in ROWS:
            raise argparse.ArgumentTypeError(f"no row {name!r}; there are {', '.join(ROWS)}")
    return names


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
