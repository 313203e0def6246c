"""I2: every kind of byte on stdout and stderr, cut anywhere, comes back as it was."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

from tests.engine.server import Server
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence
from tests.faults.staging import deploy

FRAME = 64 * 1024
CORPUS = [
    bytes(range(256)),
    b"\0" * 300 + b"\n",
    "é ü 漢字 🕷\n".encode() * 40,
    b"\xc3\n\xa9\n\xe2\x82\n\xac\n",
    b"\xff\xfe\xfa\x80\x81\xc0\xaf overlong and invalid\n",
    "\ud800 \udfff lone surrogates\n".encode("utf-8", "surrogatepass"),
    b"".join(b"\r%3d %%" % percent for percent in range(101)) + b"\n",
    b"\r\n\r\r\n\n\n\n",
    b"\x1e \x1e\x1e\n\x1eabc\n",
    b"\xef\xbb\xbfbyte order mark\n\x1b[31mred\x1b[0m\x07\n",
    b"2026-01-01T00:00:00.000000000Z stdout F what looks like a frame of the log\n",
    b"2026-01-01T00:00:00.000000000Z system P \n",
    *(b"x" * size + b"\n" for size in (FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME + 7)),
    "é".encode() * (FRAME // 2) + b"\n",
    b"x" + "漢".encode() * (FRAME // 3 + 1),
    b'{\n{}\n[1]\nnull\n{"a": NaN}\n',
]
ENDINGS = (b"", b"\n", b"\r", b"no newline at the end", b"\xe2\x82", b"\0")


def binary_logs(folder: Path, profile: Profile, result: Result) -> None:
    """Each task prints the corpus in another order, with random bytes between, cut at other places."""
    data, chance = folder / "data", profile.random()
    count = profile.pick(short=24, full=1000)
    with Server(data, max_runners=4) as server:
        deploy(server, folder, "parrot")
        said = [
            (_said(folder / f"{n}.out", chance), _said(folder / f"{n}.err", chance)) for n in range(count)
        ]
        ids = server.submit_many(
            [
                {
                    "spider": "parrot",
                    "env": {"OUT": str(out), "ERR": str(err), "SEED": str(chance.getrandbits(32))},
                }
                for out, err in said
            ]
        )
        for task_id, files in zip(ids, said, strict=True):
            assert server.wait(task_id, seconds=60)["state"] == "finished"
            _compare(server, task_id, files)
            result.passed()
    result.figures = {"mismatches": 0, "bytes": sum(f.stat().st_size for files in said for f in files)}


def _said(path: Path, chance: random.Random) -> Path:
    pieces = [*CORPUS, *(chance.randbytes(chance.randrange(3000)) for _ in range(6))]
    chance.shuffle(pieces)
    path.write_bytes(b"".join(pieces) + chance.choice(ENDINGS))
    return path


def _compare(server: Server, task_id: str, files: tuple[Path, Path]) -> None:
    evidence = Evidence(server.data)
    task = evidence.task(task_id)
    live = _followed(server, task_id)
    for stream, file in zip(("stdout", "stderr"), files, strict=True):
        printed = file.read_bytes()
        for way, stored in {
            "raw": server.log(task_id, stream),
            "stored": evidence.stream(task, stream),
            "followed": live[stream],
        }.items():
            assert stored == printed, f"{stream} of {file}, {way}: {_difference(stored, printed)}"


def _followed(server: Server, task_id: str) -> dict[str, bytes]:
    """Both streams as the live log gives them."""
    streams = {"stdout": b"", "stderr": b"", "system": b""}
    text = server.call("GET", f"/tasks/{task_id}/log/stream", raw=True)
    for event in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        for frame in json.loads(fields["data"]) if fields.get("event") == "log" else []:
            written = base64.b64decode(frame["base64"]) if "base64" in frame else frame["text"].encode()
            streams[frame["stream"]] += written + (b"" if frame["partial"] else b"\n")
    return streams


def _difference(stored: bytes, printed: bytes) -> str:
    same = next((at for at, (a, b) in enumerate(zip(stored, printed, strict=False)) if a != b), None)
    at = min(len(stored), len(printed)) if same is None else same
    return (
        f"at byte {at}: {stored[at : at + 40]!r} for {printed[at : at + 40]!r}, {len(stored)}/{len(printed)}"
    )


ROW = Row(
    "I2", "binary output: every byte, invalid UTF-8, NUL, \\r, split characters", "it comes back", binary_logs
)
