"""`make faults`: every row at full length, and the board."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults.board import Profile, Result, Row, all_rows
from tests.faults.machine import missing_for


def main() -> int:
    arguments = _arguments()
    profile = Profile("short" if arguments.short else "full", arguments.seed)
    wanted = set(arguments.rows.split(",")) if arguments.rows else None
    lines, failed = [], 0
    for row in all_rows():
        if wanted is None or row.id in wanted:
            line = _run(row, profile)
            failed += line["result"] == "FAILED"
            lines.append(line)
        else:
            lines.append({"row": row.id, "fault": row.fault, "result": "not run", "figures": {}})
    _print_board(lines, profile)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(lines, indent=1))
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rows", help="ids, comma-separated; default all")
    parser.add_argument("--short", action="store_true", help="the profile of `make test`")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments")
    parser.add_argument("--json", help="write the board there too")
    return parser.parse_args()


def _run(row: Row, profile: Profile) -> dict[str, object]:
    if missing := missing_for(row.needs):
        return {"row": row.id, "fault": row.fault, "result": f"not run: no {missing}", "figures": {}}
    result, began = Result(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"silkmill-{row.id}-"))
    print(f"{row.id}: {row.fault} …", file=sys.stderr, flush=True)
    try:
        row.run(folder, profile, result)
        verdict = f"{result.runs}/{result.runs}"
    except Exception:
        traceback.print_exc()
        verdict = "FAILED"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "row": row.id,
        "fault": row.fault,
        "result": verdict,
        "recovery": result.recovery,
        "figures": result.figures,
        "seconds": round(time.monotonic() - began, 1),
    }


def _print_board(lines: list[dict[str, object]], profile: Profile) -> None:
    print(f"profile {profile.name}, seed {profile.seed}")
    for line in lines:
        figures = ", ".join(f"{name}: {value}" for name, value in dict(line["figures"]).items())  # type: ignore[call-overload]
        recovery = line.get("recovery", "-")
        print(f"{line['row']:<8} {line['result']:<14} {recovery:<18} {line['fault']}  [{figures}]")


if __name__ == "__main__":
    sys.exit(main())
