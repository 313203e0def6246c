"""I7: a thousand tasks print a line without a newline and exit at once; no tail is lost."""

from __future__ import annotations

from pathlib import Path

from tests.engine.server import Server, spider_folder, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence

COUNT = 1000
COMMAND = "printf {text}"
PARAM = '[params.text]\ntype = "str"\nrequired = true\n'


def last_lines(folder: Path, profile: Profile, result: Result) -> None:
    """All in one bulk call, four at a time; the same in both profiles."""
    data = folder / "data"
    with Server(data, max_runners=4) as server:
        server.deploy(spider_folder(folder / "spiders", "tail", "", PARAM, COMMAND))
        texts = [f"first of {number}\\ntail of {number}, no newline" for number in range(COUNT)]
        ids = server.submit_many([{"spider": "tail", "params": {"text": text}} for text in texts])
        wait_for(lambda: not _open(server), "every task to end", seconds=120)
        lost = 0
        evidence = Evidence(data)
        tasks = evidence.tasks()
        for task_id, text in zip(ids, texts, strict=True):
            printed = text.replace("\\n", "\n").encode()
            assert tasks[task_id].state == "finished", tasks[task_id]
            assert evidence.stream(tasks[task_id], "stdout") == printed, f"{task_id} printed {printed!r}"
            lost += server.log(task_id) != printed
            result.passed()
        assert lost == 0
    result.figures = {"lost tails": lost}


def _open(server: Server) -> int:
    """How many of the tasks have not ended; one answer tells of 200 at most, which is all it needs."""
    states = "&".join(f"state={state}" for state in ("created", "pending", "running", "abnormal"))
    return len(server.call("GET", f"/tasks?{states}&limit=200")["tasks"])


ROW = Row("I7", f"{COUNT} tasks whose last line has no newline exit at once", "no tail is lost", last_lines)
