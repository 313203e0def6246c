"""F13: the answer to a commit is lost, a thousand times."""

from __future__ import annotations

from pathlib import Path

from tests.engine.server import Server
from tests.faults.board import Profile, Result, Row
from tests.faults.chatter import check_complete, deploy_chatter, start_chatters
from tests.faults.checker import Evidence


def lost_answers(folder: Path, profile: Profile, result: Result) -> None:
    """The answers of many commits are lost: their callers must repeat, and a repeat must change nothing."""
    data, cuts = folder / "data", profile.pick(short=200, full=1000)
    fault = {"SILKMILL_FAULTS": f"store.after_commit=error@60*{cuts}"}
    with Server(data, max_runners=4, env=fault) as server:
        deploy_chatter(server, folder)
        chatters = start_chatters(server, folder, 4, seconds=profile.pick(short=6.0, full=60.0))
        for chatter in chatters:
            server.wait(chatter.task_id, seconds=chatter.seconds + 120)
            check_complete(Evidence(data), chatter)
        hits = server.own_log().count("point=store.after_commit")
    result.runs = cuts
    result.figures = {"duplicates": 0, "answers lost": hits}
    assert hits >= cuts, f"only {hits} of {cuts} answers were lost"


ROW = Row("F13", "the answer is lost after COMMIT", "repeats change nothing", lost_answers)
