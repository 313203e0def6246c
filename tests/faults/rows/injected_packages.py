"""S3: hostile requirements and package.json become neither options nor commands of uv and npm."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from tests.engine.server import Server, spider_folder
from tests.faults.board import Profile, Result, Row
from tests.faults.injection.payloads import toml_text
from tests.faults.injection.witness import Witness
from tests.support.packages import Index, make_node_package, make_wheel

PREPARE = '[limits]\nprepare = "60s"\n[retry]\nmax_attempts = 1\n'
ENV = r"\S+/data/envs/\w+-[0-9a-f]{16}"
UV_LINES = (
    rf"venv --quiet --no-project --python \S+ {ENV}/venv",
    rf"pip install --python {ENV}/venv/bin/python --requirement (requirements\.txt|pyproject\.toml)",
    r"sync --python \S+ --locked --no-dev --no-install-project --no-install-workspace",
)
NPM_LINE = r"(ci|install --no-package-lock) --no-audit --no-fund --omit=dev --install-links"
REQUIREMENTS = (
    *("; TOUCH", "$(TOUCH)", "`TOUCH`", "| TOUCH", "'; TOUCH; '", "tinydep; TOUCH", "tinydep && TOUCH"),
    *("tinydep | TOUCH", "tinydep # ; TOUCH", "tinydep\\\n; TOUCH", "tinydep[$(TOUCH)]", "tinydep==$(TOUCH)"),
    *(
        "-r $(touch $CANARY).txt",
        "-r -c.txt",
        "-c ;touch${IFS}$CANARY;",
        "--no-such-option",
        "--help",
        "--version",
        "--target FILE",
        "--python FILE",
        "--cache-dir FILE",
    ),
    *("--log FILE", "-e $(TOUCH)", "-r $(TOUCH)", "-c ; TOUCH", "--python=$(TOUCH)"),
    *("--index-url $(TOUCH)", "--find-links ; TOUCH", "tinydep --config-settings=x=$(TOUCH)", "@FILE", "{a}"),
    *("tinydep --global-option='; TOUCH'", "-", "--", "\0", "\x1b]0;TOUCH\x07", "../$(TOUCH)", "-rf /"),
)
INCLUDED = ("-c.txt", "$(touch $CANARY).txt", ";touch${IFS}$CANARY;")
"""Files of the folder beside its requirements.txt."""
DEEP = 5_000
LIFE_CYCLE = (
    *("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"),
    *("dependencies", "prepack", "--ignore-scripts", "; TOUCH"),
)


def injected_requirements(folder: Path, profile: Profile, result: Result) -> None:
    """Each as a requirement, then as a dependency of a project. A variable of a task reaches no build."""
    witness, index = Witness(folder), Index(folder / "index")
    make_wheel(index.wheels, "tinydep")
    seen = folder / "seen-by-uv"
    index.speak(f"env >> {seen}")
    lines = [_aimed(line, witness) for line in REQUIREMENTS]
    with Server(folder / "data", max_runners=2, env=witness.env | index.variables) as server:
        for number, line in enumerate(lines if profile.full else lines[::5]):
            made = _spider(folder, f"r{number}", {"requirements.txt": f"tinydep\n{line}\n"})
            for name in INCLUDED:
                (made / name).write_text("tinydep\n")
            _run(server, made, result, "requirements.txt")
        for number, line in enumerate(lines if profile.full else lines[::12]):
            project = f"[project]\nname = 'x'\nversion = '1'\ndependencies = [{toml_text(line)}]\n"
            _run(server, _spider(folder, f"p{number}", {"pyproject.toml": project}), result, "pyproject.toml")
        _run(server, _spider(folder, "plain", {"requirements.txt": "tinydep\n"}), result)
    starts = index.starts()
    assert len(starts) >= result.runs, f"uv was started {len(starts)} times for {result.runs} tasks"
    strange = [line for line in starts if not any(re.fullmatch(form, line) for form in UV_LINES)]
    assert not strange, f"uv was given {strange}"
    assert "UV_OFFLINE=" in seen.read_text() and "INJECTED" not in seen.read_text(), (
        "a variable of a task has reached uv"
    )
    witness.check_nothing_ran()
    result.figures = {"executions": 0, "starts of uv": len(starts)}


def injected_packages(folder: Path, profile: Profile, result: Result) -> None:
    witness = Witness(folder)
    here = f"file:{make_node_package(folder / 'here', 'here')}"
    starts = _npm_shim(folder)
    env = witness.env | {
        "PATH": f"{starts.parent}:{os.environ['PATH']}",
        "npm_config_offline": "true",
        "npm_config_cache": str(folder / "npm-cache"),
    }
    contents = [_aimed(content, witness) for content in _packages(here)]
    settings = _aimed("script-shell=FILE\nignore-scripts=true\n", witness)
    with Server(folder / "data", max_runners=2, env=env) as server:
        for number, content in enumerate(contents if profile.full else contents[:6]):
            made = _spider(folder, f"n{number}", {"package.json": content, ".npmrc": settings})
            _run(server, made, result, "package.json")
            witness.check_nothing_ran()
        plain = json.dumps({"dependencies": {"here": here}})
        _run(server, _spider(folder, "plain", {"package.json": plain}), result)
    lines = starts.read_text().splitlines()
    assert len(lines) > result.runs / 2, f"npm was started {len(lines)} times for {result.runs} tasks"
    strange = [line for line in lines if not re.fullmatch(NPM_LINE, line)]
    assert not strange, f"npm was given {strange}"
    witness.check_nothing_ran()
    result.figures = {"executions": 0, "starts of npm": len(lines)}


def _packages(here: str) -> list[str]:
    """`here`: a package that there is. The first ones have scripts of their own, which are not to run."""
    needs = {"dependencies": {"here": here}}
    scripts = {"scripts": dict.fromkeys(LIFE_CYCLE, "TOUCH")} | needs
    deep = json.dumps(scripts)[:-1] + f', "deep": {"[" * DEEP}{"]" * DEEP}}}'
    dependencies = (
        *(
            ("; TOUCH", "1.0.0"),
            ("here", "; TOUCH"),
            ("$(TOUCH)", here),
            ("--ignore-scripts", here),
            ("-g", here),
        ),
        *(
            ("here", "$(TOUCH)"),
            ("here", "file:$(TOUCH)"),
            ("here", "npm:$(TOUCH)"),
            ("here", "--prefix=FILE"),
        ),
        *(("here", "--script-shell=FILE"), ("../$(TOUCH)", here), ("here", "file:; TOUCH"), ("\0", here)),
    )
    digits, no_text = (f'{json.dumps(scripts)[:-1]}, "x": {rest}}}' for rest in ("9" * DEEP, '"\udcff"'))
    texts = [json.dumps(scripts), deep, digits, no_text]
    texts += [json.dumps({"dependencies": {name: wanted}}) for name, wanted in dependencies]
    texts += ["\ufeff" + json.dumps(scripts), f'{{"scripts": {{}}, {json.dumps(scripts)[1:]}']
    texts += [json.dumps(needs | {name: "$(TOUCH)"}) for name in ("name", "version", "bin", "main", "os")]
    texts.append(json.dumps({"__proto__": scripts} | needs))
    return [*texts, json.dumps(needs | {"config": {"script-shell": "FILE"}, "workspaces": ["; TOUCH"]})]


def _npm_shim(folder: Path) -> Path:
    """A `npm` before the true one, in a folder of its own. The answer: the file with its command lines."""
    shim = folder / "bin" / "npm"
    shim.parent.mkdir()
    starts = shim.with_name("starts")
    shim.write_text(f'#!/bin/sh\necho "$@" >> {starts}\nexec {shutil.which("npm")} "$@"\n')
    shim.chmod(0o755)
    return starts


def _spider(folder: Path, name: str, files: dict[str, str]) -> Path:
    made = spider_folder(folder / "spiders", name, "print('ran')\n", PREPARE)
    for path, content in files.items():
        (made / path).write_bytes(content.encode("utf-8", "surrogateescape"))
    return made


def _run(server: Server, made: Path, result: Result, blames: str | None = None) -> None:
    """It ends: with its environment, or as an error that begins with the file that it may blame."""
    server.deploy(made)
    env = {"INJECTED": "; touch $CANARY", "UV_TARGET": str(made), "npm_config_script_shell": str(made)}
    task = server.wait(server.submit(made.name, env=env), seconds=120)
    if task["state"] != "finished":
        assert (task["state"], task["error_class"]) == ("error", "system"), f"{made.name}: {task}"
        assert blames and task["reason"].startswith(f"{blames}: "), f"{made.name}: {task}"
    result.passed()


def _aimed(text: str, witness: Witness) -> str:
    return text.replace("TOUCH", f"touch {witness.canary}/by-package").replace(
        "FILE", f"{witness.canary}/made"
    )


ROWS = [
    Row(
        "S3-uv",
        "requirements and dependencies that are options, shell commands, paths",
        "no option and no command of uv, no variable of a task reaches it, nothing executed",
        injected_requirements,
    ),
    Row(
        "S3-npm",
        "names, versions, scripts and settings in package.json and .npmrc that are options or shell commands",
        "no option and no command of npm, nothing executed",
        injected_packages,
        needs=("npm",),
    ),
]
