"""I3: frames that are no JSON, too deep, too large or the wrong thing: counted, kept as text, no crash."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.engine.server import Server
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence
from tests.faults.staging import deploy

DEEP, MIB = 100_000, 1 << 20
FUZZ = Path(__file__).parents[2] / "unit" / "protocol" / "test_ipc_fuzz.py"

NO_NUMBERS = ("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x1")


def frame(payload: bytes | str, kind: str = "INSERT_DATA") -> bytes:
    raw = payload if isinstance(payload, bytes) else payload.encode()
    return b'{"type":"%b","payload":%b}' % (kind.encode(), raw)


BAD = [
    frame('{"deep":' + "[" * DEEP + "]" * DEEP + "}"),
    frame('{"a":' * DEEP + "1" + "}" * DEEP),
    frame('{"a":' + "[" * DEEP),
    frame('{"page":"' + "x" * (9 * MIB) + '"}'),
    frame('{"twice":1,"twice":2}'),
    frame('{"inner":{"a":1,"b":[{"a":1,"\\u0061":2}]}}'),
    *(
        frame(f'{{"a":{number}}}')
        for number in ("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x1")
    ),
    frame('{"a":"\\ud800"}'),
    frame('{"\\udfff":1}'),
    frame(b'{"a":"\xff\xfe"}'),
    frame(b'{"a":"\xc3"}'),
    frame(b'{"a":"\xed\xa0\x80"}'),
    frame(b'{"a":"\x01"}'),
    frame(b'{"a":"\0"}'),
    frame('{"a":"\\x41"}'),
    frame("{'a':1}"),
    frame('{"a":1,}'),
    frame('{"a":1}') + b" and more",
    frame('{"a":1}') + frame('{"b":1}'),
    b'{"type":"INSERT_DATA","payload":{"half":',
    b'{"type":"INSERT_DATA","payload":{"half":"',
    b'{"type":"INSERT_DATA","type":"STATUS","payload":{}}',
    *(frame(payload) for payload in ("5", '"text"', "true", "[1]", '[{"a":1},null]', "[[]]")),
    frame("[1]", "STATUS"),
    frame('{"message":"' + "x" * (65 * 1024) + '"}', "STATUS"),
    frame('"text"', "LOG"),
    frame('{"class":"E","message":"m","fatal":"yes"}', "ERROR"),
    frame('{"class":5}', "ERROR"),
]
TEXT = [
    b'{"type":"UNKNOWN","payload":{"a":1}}',
    b'{"type":"INSERT_DATA"}',
    b'{"level":"info","type":"request"}',
    b"{",
    b"[" * 5000,
    b'{"a":' * 5000,
    b'"type":"INSERT_DATA"',
]
GOOD = [
    b'{"n":1234567890123456789}',
    b'{"n":' + b"7" * 6000 + b"}",
    b'{"n":[1e999,-0,0.1e-5,-1.5E+10]}',
    b'{"deep":' + b"[" * 500 + b"]" * 500 + b"}",
    '{"text":"é 漢字 \\u00e9 \\ud83d\\ude00"}'.encode(),
    b'{"$where":1,"a.b":2,"__proto__":{},"_id":3}',
    b'{"spaces" : [ 1 , 2 ] }',
]


def bad_frames(folder: Path, profile: Profile, result: Result) -> None:
    data, chance = folder / "data", profile.random()
    with Server(data, max_runners=2) as server:
        deploy(server, folder, "parrot")
        (folder / "nothing").touch()
        runners: set[int] = set()
        for number in range(profile.pick(short=6, full=300)):
            said = _Said(chance)
            (folder / f"{number}.out").write_bytes(said.stdout)
            task_id = server.submit("parrot", env=_environment(folder, number, chance))
            assert server.wait(task_id, seconds=60)["state"] == "finished"
            runners |= {facts["pid"] for facts in server.runners().values()}
            said.check(Evidence(data), task_id)
            result.passed()
        alive = {facts["pid"] for facts in server.runners().values()}
        assert alive == runners, f"runners {runners - alive} are gone"
    result.figures = {"crashes": 0, "bad frames": result.runs * len(BAD)}
    if profile.full:
        result.figures["fuzzed streams"] = _fuzz(1_000_000)


def _environment(folder: Path, number: int, chance: random.Random) -> dict[str, str]:
    seed = str(chance.getrandbits(32))
    return {"OUT": str(folder / f"{number}.out"), "ERR": str(folder / "nothing"), "SEED": seed}


class _Said:
    """What one task prints: every line of the corpus, shuffled, and a bad one without newline at the end."""

    def __init__(self, chance: random.Random) -> None:
        lines = [(line, "text") for line in BAD + TEXT] + [(item, "item") for item in GOOD * 3]
        chance.shuffle(lines)
        last = chance.choice(BAD)
        lines += [(last, "text")]
        self.stdout = b"\n".join(frame(line) if kind == "item" else line for line, kind in lines)
        self.items = [line for line, kind in lines if kind == "item"]
        self.text = b"".join(line + b"\n" for line, kind in lines if kind == "text")[:-1]

    def check(self, evidence: Evidence, task_id: str) -> None:
        task: Any = evidence.task(task_id)
        assert evidence.items(task) == self.items
        assert evidence.stream(task, "stdout") == self.text
        counted = re.search(rb"(\d+) bad frames in all", evidence.stream(task, "system"))
        assert counted, evidence.stream(task, "system")
        assert int(counted[1]) == len(BAD) + 1, f"{counted[0]!r}, {len(BAD) + 1} were sent"


def _fuzz(streams: int) -> int:
    """The decoder alone, so many streams for each of its fuzzing tests."""
    command = [sys.executable, "-m", "pytest", "-q", str(FUZZ)]
    done = subprocess.run(
        command, env=os.environ | {"SILKMILL_FUZZ_EXECS": str(streams)}, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-4000:].decode(errors="replace")
    return streams


ROW = Row(
    "I3",
    "bad JSON in frames: deep, huge, twice the same key, NaN, cut in half",
    "each is counted and kept as text, good ones between them are stored, the runner lives",
    bad_frames,
)
