"""Documents that were written before a field was there are read, with the field's default."""

from __future__ import annotations

import json

from helpers import START, changed, make_task
from silkmill.adapters.store.codec import decode, encode
from silkmill.domain.events import Accept, Assign, Exit, Finish, Start
from silkmill.domain.outcome import Verdict
from silkmill.domain.statistics import Statistics
from silkmill.domain.task import Task


def test_an_attempt_that_was_closed_without_statistics_has_unknown_ones() -> None:
    task = make_task()
    for event in (Assign("n", "s", START), Accept(), Start(1, START), Exit(), Finish(Verdict("exit"), START)):
        task = changed(task, event)
    document = json.loads(encode(task))
    del document["history"][0]["statistics"]
    read = decode(Task, json.dumps(document).encode())
    assert read == task
    assert read.history[0].statistics == Statistics()
