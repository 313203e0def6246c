"""S3: arguments and settings that look like options of Scrapy are read by it as what they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scrapy.cmdline import ScrapyArgumentParser
from scrapy.commands.crawl import Command
from scrapy.settings import Settings
from tests.engine.server import Server
from tests.faults.board import Profile, Result, Row
from tests.faults.injection.payloads import LONG, payloads, toml_text
from tests.faults.injection.witness import Witness, check_refused, check_refused_by_cli, cli, printed_id

OPTIONS = (
    "-s",
    "-a",
    "-sX",
    "-aX",
    "-",
    "--",
    "--pdb",
    "--set",
    "--output",
    "-o",
    "-O",
    "-t",
    "--logfile",
    "-L",
)
NO_NAMES = ("", "=", "X=1", "a\nb", "\0", "\x1b", *OPTIONS)
NAMES = (
    "X",
    "x-s",
    "x -s Y",
    "; touch $CANARY",
    "$(touch $CANARY)",
    "{declared}",
    "{{",
    "é",
    ":",
    "@x",
    "'",
    '"',
)


@dataclass(frozen=True, slots=True)
class Sent:
    """What one task was given; both reach Scrapy as `name=value`."""

    task_id: str
    arguments: dict[str, str]
    settings: dict[str, str]


def injected_scrapy(folder: Path, profile: Profile, result: Result) -> None:
    witness = Witness(folder)
    corpus = [text for text in payloads(witness.canary) if len(text) < LONG]
    corpus = corpus if profile.full else corpus[::6]
    with Server(folder / "data", max_runners=2, env=witness.env) as server:
        server.deploy(_project(witness, folder))
        sent = [*_by_api(server, corpus), *_by_run(server, corpus[:: 1 if profile.full else 5])]
        sent += _by_schedule(server, corpus)
        witness.wait_finished(server, [one.task_id for one in sent])
        for one in sent:
            _check(one, witness.given(one.task_id).argv)
            result.passed()
        for name in NO_NAMES:
            _check_no_name(server, name)
            result.passed()
        for name in OPTIONS if profile.full else OPTIONS[::5]:
            for letter in "as":
                check_refused_by_cli(
                    cli(server, "run", "--detach", "shop", f"-{letter}", f"{name}=x"), repr(name)
                )
        _check_declared(folder, server, witness)
    witness.check_nothing_ran()
    result.figures = {"executions": 0, "taken for an option": 0, "names refused": len(NO_NAMES)}


def _project(witness: Witness, folder: Path) -> Path:
    """Its own program `scrapy` writes down what it is given: nothing of Scrapy itself runs."""
    made = witness.folder(folder, "shop", "params = {declared = ''}", main="scrapy")
    (made / "scrapy.cfg").write_text("[settings]\ndefault = shop\n")
    script = made / "scrapy"
    script.write_text("#!/usr/bin/env python\n" + script.read_text())
    script.chmod(0o755)
    with (made / "spider.toml").open("a") as toml:
        toml.write(f"PATH = {toml_text('.:' + str(Path(sys.executable).parent))}\n")
    return made


def _given(payload: str) -> tuple[dict[str, str], dict[str, str]]:
    named = dict.fromkeys(NAMES, payload)
    return {"declared": payload} | named, named


def _by_api(server: Server, corpus: list[str]) -> Iterator[Sent]:
    """In bulk, too."""
    lines: list[dict[str, Any]] = []
    for payload in corpus:
        arguments, settings = _given(payload)
        lines.append({"spider": "shop", "params": arguments, "settings": settings})
    for submitted in ([server.submit(**line) for line in lines], server.submit_many(lines)):
        for task_id, line in zip(submitted, lines, strict=True):
            yield Sent(task_id, line["params"], line["settings"])


def _by_run(server: Server, corpus: list[str]) -> Iterator[Sent]:
    for payload in corpus:
        arguments, settings = _given(payload)
        words = [word for name, value in arguments.items() for word in ("-a", f"{name}={value}")]
        words += [word for name, value in settings.items() for word in ("-s", f"{name}={value}")]
        yield Sent(printed_id(cli(server, "run", "--detach", "shop", *words)), arguments, settings)


def _by_schedule(server: Server, corpus: list[str]) -> Iterator[Sent]:
    for number, payload in enumerate(corpus):
        arguments, _ = _given(payload)
        given = {"spider": "shop", "name": f"n{number}", "cron": "@yearly", "params": arguments}
        server.call("POST", "/schedules", given)
        task = server.call("POST", f"/schedules/default/shop/n{number}/run")
        yield Sent(task["id"], arguments, {})


def _check(sent: Sent, argv: list[bytes]) -> None:
    """The words, and how the parser of Scrapy itself reads them: every other option has its default."""
    words = [word for name, value in sent.arguments.items() for word in ("-a", f"{name}={value}")]
    words += [word for name, value in sent.settings.items() for word in ("-s", f"{name}={value}")]
    _, program, *found = [word.decode() for word in argv]
    assert program.endswith("/scrapy") and found == ["crawl", "shop", *words], (sent, argv)
    parser = _parser()
    options, rest = parser.parse_known_args(found[1:])
    read = vars(options)
    assert rest == ["shop"], rest
    assert read.pop("spargs") == [f"{name}={value}" for name, value in sent.arguments.items()], read
    assert read.pop("set") == [f"{name}={value}" for name, value in sent.settings.items()], read
    assert read == {name: value for name, value in vars(parser.parse_args([])).items() if name in read}, read


def _parser() -> ScrapyArgumentParser:
    command = Command()
    command.settings = Settings()
    parser = ScrapyArgumentParser(conflict_handler="resolve")
    command.add_options(parser)
    return parser


def _check_no_name(server: Server, name: str) -> None:
    task = {"spider": "shop"}
    for part in ("params", "settings"):
        check_refused(server, "/tasks", task | {part: {name: "x"}}, f"{part}.{name}")
        check_refused(server, "/tasks/bulk", [task | {part: {name: "x"}}], f"lines[0].{part}.{name}")
        check_refused(server, "/tasks", task | {part: {"declared": "a\0b"}}, f"{part}.declared")
    schedule = {"spider": "shop", "name": "no", "cron": "@yearly"}
    check_refused(server, "/schedules", schedule | {"params": {name: "x"}}, f"params.{name}")


def _check_declared(folder: Path, server: Server, witness: Witness) -> None:
    """What the folder itself calls its parameters and its spider."""
    for number, name in enumerate(NO_NAMES):
        made = witness.folder(folder / str(number), "bad", f"params = {{{toml_text(name)} = ''}}")
        _check_bad_folder(server, made, f"params.{name}" if name.isprintable() else "params")
    for name in ("--pdb", "-s"):
        made = witness.folder(folder / name, "bad", "")
        toml = made / "spider.toml"
        toml.write_text(toml.read_text().replace('"bad"', toml_text(name), 1))
        _check_bad_folder(server, made, "name")


def _check_bad_folder(server: Server, made: Path, words: str) -> None:
    (made / "scrapy.cfg").write_text("[settings]\ndefault = shop\n")
    check_refused_by_cli(cli(server, "deploy", str(made)), words)


ROW = Row(
    "S3-scrapy",
    "arguments and settings of Scrapy that look like its options; by CLI, API, bulk, schedule",
    "Scrapy's own parser reads what was given and no option more, or they are refused by field",
    injected_scrapy,
)
