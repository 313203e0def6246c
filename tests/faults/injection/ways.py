"""Every way in which a payload can be given to the spider `witness` as its parameters, variables and tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.engine.server import Server, wait_for
from tests.faults.checker import Evidence
from tests.faults.injection.witness import cli, printed_id

VARIABLES = ("INJECTED", "BASH_ENV", "ENV")


@dataclass(frozen=True, slots=True)
class Sent:
    """One task, and the payload that it was given; a schedule gives its tasks nothing but parameters."""

    task_id: str
    payload: str
    variables: bool = True
    tags: bool = True


Way = Callable[[Server, list[str]], Iterator[Sent]]


def params_of(payload: str) -> dict[str, str]:
    """The value of one parameter is the template of another; `c` is in no argument."""
    return {"a": payload, "b": "{a}{c}", "c": payload}


def _line(payload: str) -> dict[str, Any]:
    tags = [payload] if is_tag(payload) else []
    return {"params": params_of(payload), "env": dict.fromkeys(VARIABLES, payload), "tags": tags}


def is_tag(payload: str) -> bool:
    return bool(payload) and payload == payload.strip() and payload.isprintable()


def _options(payload: str, letters: dict[str, dict[str, str]]) -> list[str]:
    pairs = [
        (f"-{letter}", f"{name}={value}") for letter, of in letters.items() for name, value in of.items()
    ]
    return [word for pair in pairs for word in pair]


def _by_run(server: Server, corpus: list[str]) -> Iterator[Sent]:
    for payload in corpus:
        line = _line(payload)
        options = _options(payload, {"a": line["params"], "e": line["env"]})
        tags = [word for tag in line["tags"] for word in ("-t", tag)]
        yield Sent(printed_id(cli(server, "run", "--detach", *options, *tags, "witness")), payload)


def _by_submit(server: Server, corpus: list[str]) -> Iterator[Sent]:
    lines = "\n".join(json.dumps(_line(payload)) for payload in corpus).encode()
    ended = cli(server, "submit", "witness", "--params", "-", stdin=lines)
    assert ended.returncode == 0, ended
    yield from map(Sent, ended.stdout.decode().split(), corpus)


def _by_api(server: Server, corpus: list[str]) -> Iterator[Sent]:
    for payload in corpus:
        yield Sent(server.submit("witness", **_line(payload)), payload)


def _by_schedules_command(server: Server, corpus: list[str]) -> Iterator[Sent]:
    for number, payload in enumerate(corpus):
        options = _options(payload, {"a": params_of(payload)})
        added = cli(server, "schedules", "add", f"witness/c{number}", "@yearly", *options)
        assert added.returncode == 0, added
        run = cli(server, "schedules", "run", f"witness/c{number}")
        yield Sent(printed_id(run), payload, variables=False, tags=False)


def _by_bulk(server: Server, corpus: list[str]) -> Iterator[Sent]:
    ids = server.submit_many([{"spider": "witness"} | _line(payload) for payload in corpus])
    yield from map(Sent, ids, corpus)


def _by_schedule(server: Server, corpus: list[str]) -> Iterator[Sent]:
    for number, payload in enumerate(corpus):
        given = {"spider": "witness", "name": f"a{number}", "cron": "@yearly", "params": params_of(payload)}
        server.call("POST", "/schedules", given)
        task = server.call("POST", f"/schedules/default/witness/a{number}/run")
        yield Sent(task["id"], payload, variables=False, tags=False)


def _by_own_schedule(server: Server, corpus: list[str]) -> Iterator[Sent]:
    """Those of spider.toml, which has one for each payload."""
    for number, payload in enumerate(corpus):
        task = server.call("POST", f"/schedules/default/witness/t{number}/run")
        yield Sent(task["id"], payload, variables=False, tags=False)


def _by_clock(server: Server, corpus: list[str]) -> Iterator[Sent]:
    """At the next full minute."""
    names = {f"default/witness/f{number}": payload for number, payload in enumerate(corpus)}
    for name, payload in names.items():
        server.call("PUT", f"/schedules/{name}", {"cron": "* * * * *", "params": params_of(payload)})

    def fired() -> dict[str, str]:
        tasks = Evidence(server.data).tasks().values()
        found = {task.doc["schedule"]: task.id for task in tasks if task.doc["schedule"] in names}
        return found if len(found) == len(names) else {}

    for name, task_id in wait_for(fired, "every schedule to fire", seconds=150).items():
        server.call("DELETE", f"/schedules/{name}", raw=True)
        yield Sent(task_id, names[name], variables=False, tags=False)


IN_SHORT: dict[Way, int] = {
    _by_run: 16,
    _by_submit: 4,
    _by_api: 4,
    _by_schedules_command: 34,
    _by_bulk: 4,
    _by_schedule: 8,
}
"""Of so many payloads the short profile takes one: a command costs a process."""
WAYS: tuple[Way, ...] = (*IN_SHORT, _by_own_schedule, _by_clock)
