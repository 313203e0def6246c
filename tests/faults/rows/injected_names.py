"""S3: hostile names of files are files and nothing else; names that nothing may have are refused."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.engine.server import Server
from tests.faults.board import Profile, Result, Row
from tests.faults.injection.payloads import hostile_names, is_name, payloads, toml_text
from tests.faults.injection.witness import (
    Witness,
    check_refused,
    check_refused_by_cli,
    cli,
    printed_id,
)

PROGRAM = "$(touch $CANARY)"
COMMAND = "command = 'python main.py'\n"
SPIDERS = ["by-api", "by-cli", "program", "witness"]
NO_PATHS = ("../$(touch $CANARY)", "/$(touch $CANARY)", "a\\b", "a\0b", "a//b", "./a", "", "x" * 256)


def injected_names(folder: Path, profile: Profile, result: Result) -> None:
    witness = Witness(folder)
    corpus = [text for text in payloads(witness.canary) if not is_name(text)]
    with Server(folder / "data", max_runners=2, env=witness.env) as server:
        server.deploy(witness.folder(folder, "witness", "command = 'python main.py {a}'\nparams = {a = ''}"))
        _files(server, folder, witness, result)
        _program(server, folder, witness, result)
        for text in corpus if profile.full else corpus[::6]:
            _refused_by_api(server, text)
            result.passed()
        for text in corpus[:: 1 if profile.full else 30]:
            _refused_by_cli(server, folder, text)
            result.passed()
        _refused_bytes(server, folder)
        _refused_paths(server)
        assert [spider["name"] for spider in server.call("GET", "/spiders")["spiders"]] == SPIDERS
        assert server.call("GET", "/schedules")["schedules"] == []
    witness.check_nothing_ran()
    result.figures = {"executions": 0, "names": len(hostile_names()), "names refused": len(corpus)}


# Taken as they are.
def _files(server: Server, folder: Path, witness: Witness, result: Result) -> None:
    """By CLI the folder that is deployed has such a name itself."""
    names = hostile_names()
    paths = {*names, *(f"in/{name}/x" for name in names)}
    server.deploy(_with_files(witness.folder(folder, "by-api", COMMAND), paths))
    hostile = folder / "; touch $CANARY;"
    _with_files(witness.folder(folder, "by-cli", COMMAND), paths).rename(hostile)
    deployed = cli(server, "deploy", str(hostile), cwd=folder)
    assert deployed.returncode == 0, deployed
    expected = {path.encode() for path in paths} | {b"main.py", b"spider.toml"}
    for name in ("by-api", "by-cli"):
        task_id = server.submit(name)
        witness.wait_finished(server, [task_id])
        found = witness.given(task_id).files
        assert found == expected, f"{name} lacks {expected - found} and has {found - expected}"
        result.passed()


def _with_files(folder: Path, paths: set[str]) -> Path:
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return folder


def _program(server: Server, folder: Path, witness: Witness, result: Result) -> None:
    """A program of such a name is that program, run without a shell."""
    made = witness.folder(folder, "program", f"command = [{toml_text(f'./{PROGRAM}')}, '*']", main=PROGRAM)
    script = made / PROGRAM
    script.write_text("#!/usr/bin/env python\n" + script.read_text())
    script.chmod(0o755)
    server.deploy(made)
    task_id = printed_id(cli(server, "run", "--detach", "program"))
    witness.wait_finished(server, [task_id])
    interpreter, program, *rest = witness.given(task_id).argv
    assert os.fsdecode(program).endswith(f"/{PROGRAM}") and rest == [b"*"], (interpreter, program, rest)
    result.passed()


# Refused.
def _refused_by_api(server: Server, text: str) -> None:
    """A name that nothing has is not found; one that nothing may have is bad input. `field` says which."""
    task: dict[str, Any] = {"spider": "witness"}
    check_refused(server, "/tasks", {"spider": text}, "spider", status=404)
    check_refused(server, "/tasks", task | {"project": text}, "spider", status=404)
    check_refused(server, "/tasks", task | {"version": text or "-"}, "version", status=404)
    for given, field in _bad_parts(text):
        check_refused(server, "/tasks", task | given, field)
        check_refused(server, "/tasks/bulk", [task | given], f"lines[0].{field}")
    schedule = {"spider": "witness", "name": "n", "cron": "@yearly"}
    check_refused(server, "/schedules", schedule | {"name": text}, "name")
    check_refused(server, "/schedules", schedule | {"spider": text}, "spider", status=404)
    check_refused(server, "/schedules", schedule | {"cron": text}, "cron")
    check_refused(server, "/schedules", schedule | {"timezone": text}, "timezone")
    check_refused(server, "/schedules", schedule | {"params": {text: ""}}, f"params.{text}")
    check_refused(server, "/schedules", schedule | {"params": {"a": f"{text}\0"}}, "params.a")
    for toml, field in _bad_manifests(text):
        _check_manifest(server, toml, field)


def _bad_parts(text: str) -> list[tuple[dict[str, Any], str]]:
    return [
        ({"params": {text: ""}}, f"params.{text}") if text != "a" else ({"params": {"b": ""}}, "params.b"),
        ({"params": {"a": f"{text}\0"}}, "params.a"),
        ({"env": {f"{text}=": ""}}, f"env.{text}="),
        ({"env": {"A": f"{text}\0"}}, "env.A"),
        ({"tags": [f"{text}\n"]}, "tags"),
        ({"settings": {text: ""}}, "settings"),
        ({"key": f"{text}\n"}, "key"),
        ({"placement": {"mode": text}}, "mode"),
        ({"placement": {"mode": "nodes", "nodes": [f"{text}\n"]}}, "nodes"),
        ({"placement": {"labels": {"a": f"{text}\n"}}}, "labels"),
    ]


def _bad_manifests(text: str) -> list[tuple[str, str]]:
    """What a spider.toml says, and the key that is refused."""
    quoted, cut = toml_text(text), toml_text(f"{text}\0").replace("\0", "\\u0000")
    head = f"name = 'n'\n{COMMAND}"
    return [
        (f"name = {quoted}\n{COMMAND}", "name"),
        (f"project = {quoted}\n{head}", "project"),
        (f"{COMMAND}[spiders.{quoted}]\npriority = 1\n", f"spiders.{text}"),
        (f"name = 'n'\ncommand = ['python', {cut}]\n", "command"),
        (f"{head}[env]\n{toml_text(text + '=')} = ''\n", f"env.{text}="),
        (f"{head}[env]\nA = {cut}\n", "env.A"),
        (f"tags = [{cut}]\n{head}", "tags"),
        (f"{head}[[schedules]]\nname = {quoted}\ncron = '@yearly'\n", "schedules[0].name"),
        (f"{head}[[schedules]]\nname = 'n'\ncron = {quoted}\n", "schedules[0].cron"),
    ]


def _check_manifest(server: Server, toml: str, field: str) -> None:
    content = toml.encode()
    digest = hashlib.sha256(content).hexdigest()
    server.call("PUT", f"/blobs/{digest}", content, raw=True)
    entry = {"path": "spider.toml", "sha256": digest, "size": len(content), "mode": 0o644}
    check_refused(server, "/versions", {"files": [entry]}, field)


def _refused_by_cli(server: Server, folder: Path, text: str) -> None:
    """After `--`, which ends the options."""
    run = ("run", "--detach", "witness")
    cause = "spider.toml" if len(text) < 256 else "too long"
    check_refused_by_cli(cli(server, "run", "--detach", "--", text, cwd=folder), cause)
    check_refused_by_cli(cli(server, "schedules", "add", "--", f"witness/{text}", "@yearly"), "SCHEDULE")
    check_refused_by_cli(cli(server, "schedules", "add", "witness/n", "--", text), "cron")
    name = text.replace("=", "+") + "+"  # of no variable, and no parameter has it
    for option in ("-a", "-e"):
        check_refused_by_cli(cli(server, *run, option, f"{name}=x"), repr(name))
    check_refused_by_cli(cli(server, *run, "-t", f"{text}\n"), "tag")
    check_refused_by_cli(cli(server, *run, "-s", f"{name}=x"), "settings")
    line = json.dumps({"params": {"a": f"{text}\0"}}).encode()
    check_refused_by_cli(
        cli(server, "submit", "witness", "--params", "-", stdin=line), "line 1: parameter 'a'"
    )


def _refused_bytes(server: Server, folder: Path) -> None:
    """What is not UTF-8. A body with it is no JSON, in which no field can be told."""
    run = ("run", "--detach", "witness")
    for option in ("-a", "-e"):
        check_refused_by_cli(
            cli(server, *run, option, b"a=$(touch $CANARY)\xff"), "'a=$(touch $CANARY)\\udcff'"
        )
    check_refused_by_cli(cli(server, *run, "-t", b"\xff"), "'\\udcff'")
    check_refused_by_cli(
        cli(server, "schedules", "add", "witness/n", "@yearly", "-a", b"a=\xff"), "'a=\\udcff'"
    )
    line = b'{"params": {"a": "\xff"}}'
    check_refused_by_cli(cli(server, "submit", "witness", "--params", "-", stdin=line), "line 1")
    check_refused(server, "/tasks", b'{"spider": "witness", "params": {"a": "\xff"}}', None)
    made = folder / "not-utf-8"
    made.mkdir()
    (made / "spider.toml").write_text(f"name = 'n'\n{COMMAND}")
    Path(os.fsdecode(os.fsencode(made) + b"/$(touch $CANARY)\xff")).touch()
    check_refused_by_cli(cli(server, "deploy", str(made)), "touch $CANARY")


def _refused_paths(server: Server) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    server.call("PUT", f"/blobs/{digest}", b"", raw=True)
    for path in NO_PATHS:
        entry = {"path": path, "sha256": digest, "size": 0, "mode": 0o644}
        check_refused(server, "/versions", {"files": [entry]}, "files")
        check_refused(server, f"/spiders/default/{quote(PROGRAM)}/versions", {"files": [entry]}, "files")


ROW = Row(
    "S3-names",
    "names of files, programs, spiders, versions, schedules, parameters, variables that are commands",
    "files keep their names, what nothing may be called is refused by field, nothing executed",
    injected_names,
)
