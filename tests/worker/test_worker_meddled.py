"""A spider that changes its own attempt's directory hurts itself only: it ends, and its slot works again."""

from __future__ import annotations

import sys

import pytest
from worker_driver import WorkerDriver, ended, wait_until
from worker_master import FakeMaster

MEDDLERS = {
    "removed": "shutil.rmtree('..')",
    "removed, and writes on": "shutil.rmtree('..')\nwhile True: print('x' * 99)",
    "moved away": "here = os.path.dirname(os.getcwd())\nos.rename(here, here + 'x')",
    "outcome removed": "os.unlink('../outcome.json.new')",
    "all but the spec removed": "os.unlink('../outcome.json.new'), os.unlink('../log.0')",
    "outcome in the way": "os.mkdir('../outcome.json')",
    "items in the way": 'os.mkdir(\'../items.0\'); print(\'{"type":"INSERT_DATA","payload":{"n":1}}\')',
    "spec spoilt": "open('../spec.json', 'w').write('{')\nos.unlink('../outcome.json.new')",
}


@pytest.mark.parametrize("how", MEDDLERS)
async def test_it_has_failed_and_the_slot_is_free(worker: WorkerDriver, master: FakeMaster, how: str) -> None:
    begun = worker.data / "begun"
    source = f"import os, shutil\nprint('begun', flush=True)\nopen({str(begun)!r}, 'a').write('x')\n"
    stored = await ended(master.offer([sys.executable, "-c", source + MEDDLERS[how]]))
    assert stored.facts is not None
    assert stored.facts.lost or stored.facts.preparation_error, stored.facts
    assert begun.read_text() == "x", "one attempt starts its spider once"
    await wait_until(lambda: not worker.agent.held, "nothing held")
    again = [master.offer(["true"]) for _ in range(4)]
    for stored in again:
        facts = (await ended(stored)).facts
        assert facts is not None and facts.exit_code == 0
