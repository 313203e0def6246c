"""S3: hostile parameters, variables, tags and literals reach a spider as they are, by every way."""

from __future__ import annotations

from pathlib import Path

from tests.engine.server import Server
from tests.faults.board import Profile, Result, Row
from tests.faults.injection.payloads import LONG, payloads, toml_text
from tests.faults.injection.ways import IN_SHORT, VARIABLES, WAYS, Sent, is_tag, params_of
from tests.faults.injection.witness import Given, Witness

TEMPLATE = ("{a}", "--b={b}", "{a}{b}", "{{a}}", "-x{a}y")
OF_THE_TASK = (b"SILKMILL_", b"CRAWLAB_")


def injected_values(folder: Path, profile: Profile, result: Result) -> None:
    witness = Witness(folder)
    corpus = payloads(witness.canary)
    with Server(folder / "data", max_runners=2, env=witness.env) as server:
        server.deploy(_spider(witness, folder, corpus))
        plain = server.submit("witness", params=params_of("plain"))
        steps = dict.fromkeys(WAYS, 1) if profile.full else IN_SHORT
        sent = [
            one
            for number, (way, step) in enumerate(steps.items())
            for one in way(server, corpus[number % step :: step])
        ]
        witness.wait_finished(server, [plain, *(one.task_id for one in sent)])
        usual = witness.given(plain)
        for one in sent:
            _check(server, one, witness.given(one.task_id), usual, corpus)
            result.passed()
    witness.check_nothing_ran()
    result.figures = {"executions": 0, "payloads": len(corpus), "ways": len(steps)}


def _spider(witness: Witness, folder: Path, corpus: list[str]) -> Path:
    """Its own file holds every payload too: in its command, its variables and its schedules."""
    command = ", ".join(map(toml_text, ("python", "main.py", *TEMPLATE, *map(_literal, _short(corpus)))))
    params = ", ".join(f"{name} = ''" for name in params_of(""))
    schedules = "".join(
        f"[[schedules]]\nname = 't{number}'\ncron = '@yearly'\n[schedules.params]\n"
        + "".join(f"{name} = {toml_text(value)}\n" for name, value in params_of(payload).items())
        for number, payload in enumerate(corpus)
    )
    made = witness.folder(folder, "witness", f"command = [{command}]\nparams = {{{params}}}\n{schedules}")
    with (made / "spider.toml").open("a") as toml:
        toml.writelines(
            f"OWN_{number} = {toml_text(payload)}\n" for number, payload in enumerate(_short(corpus))
        )
    return made


def _short(corpus: list[str]) -> list[str]:
    return [payload for payload in corpus if len(payload) < LONG]


def _literal(payload: str) -> str:
    return payload.replace("{", "{{")


def _check(server: Server, sent: Sent, given: Given, usual: Given, corpus: list[str]) -> None:
    params = params_of(sent.payload)
    assert given.argv == _argv(params, corpus), (sent, given.argv)
    assert given.params == params, sent
    variables = dict.fromkeys(VARIABLES, sent.payload) if sent.variables else {}
    _check_environment(given.environ, usual.environ, variables)
    tags = server.task(sent.task_id)["tags"]
    assert tags == ([sent.payload] if sent.tags and is_tag(sent.payload) else []), (sent, tags)
    for number, payload in enumerate(_short(corpus)):
        assert given.environ[f"OWN_{number}".encode()] == payload.encode(), (sent, payload)


def _argv(params: dict[str, str], corpus: list[str]) -> list[bytes]:
    a, b = params["a"], params["b"]
    argv = ["python", "main.py", a, f"--b={b}", a + b, "{a}}", f"-x{a}y", *_short(corpus)]
    return [argument.encode() for argument in argv]


def _check_environment(
    given: dict[bytes, bytes], usual: dict[bytes, bytes], variables: dict[str, str]
) -> None:
    """What was given, as it was given; beside it nothing that a plain task does not have too."""
    for name, value in variables.items():
        assert given.pop(name.encode()) == value.encode(), (name, value)
    ours = {name: value for name, value in given.items() if not name.startswith(OF_THE_TASK)}
    assert ours == {name: value for name, value in usual.items() if not name.startswith(OF_THE_TASK)}
    names = {name for name in given if name.startswith(OF_THE_TASK)}
    assert names - usual.keys() <= {b"SILKMILL_PARAMS_FILE"}, names - usual.keys()


ROW = Row(
    "S3",
    "parameters, variables, tags, literals that are commands, options, templates; by CLI, API, bulk, clock",
    "argv, environment and tags byte for byte, no shell, nothing executed",
    injected_values,
)
