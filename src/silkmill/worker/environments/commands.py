"""Which commands build an environment, and what they see of our own environment variables."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import uv

from silkmill.domain.environment import PACKAGE_LOCK, UV_LOCK, Kind, Recipe
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.trees import BUILD_VARIABLE

SOURCE, VENV, MODULES = "source", "venv", "node_modules"
_PASSED = re.compile(
    r"PATH|HOME|LANG|TZ|TMPDIR|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|UV_.*|PIP_.*|"
    r"(?i:(http|https|all|no)_proxy|npm_config_.*)"
)
_OURS = {
    "NO_COLOR": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_NO_PROGRESS": "1",
    "UV_COMPILE_BYTECODE": "1",
    # A file shared with the cache of uv would let a spider change what other environments get.
    "UV_LINK_MODE": "copy",
    "NPM_CONFIG_PROGRESS": "false",
    "NPM_CONFIG_UPDATE_NOTIFIER": "false",
}
# What the project itself is lies in the working directory of its spiders, and is no part of what they share.
_LOCKED = ("--locked", "--no-dev", "--no-install-project", "--no-install-workspace")
_NPM = ("--no-audit", "--no-fund", "--omit=dev", "--install-links")


@dataclass(frozen=True, slots=True)
class Command:
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str

    @property
    def name(self) -> str:
        """As a reader knows it: the program and its first words."""
        words = [word for word in self.argv[1:3] if not word.startswith(("-", "/"))]
        return " ".join([os.path.basename(self.argv[0]), *words])  # noqa: PTH119


def commands_of(recipe: Recipe, folder: Path) -> tuple[Command, ...]:
    """One after the other they make `folder`, in which the files of the recipe are. Raises PreparationFailed
    where a tool is missing."""
    env = build_environment(folder)
    return tuple(Command(argv, env, str(folder / SOURCE)) for argv in _arguments(recipe, folder))


def build_environment(folder: Path) -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
    ours = _OURS | {"UV_PROJECT_ENVIRONMENT": str(folder / VENV), BUILD_VARIABLE: str(folder)}
    return passed | ours


def _arguments(recipe: Recipe, folder: Path) -> tuple[tuple[str, ...], ...]:
    venv = str(folder / VENV)
    python = (find_uv(), "venv", "--quiet", "--no-project", "--python", sys.executable, venv)
    install = (find_uv(), "pip", "install", "--python", f"{venv}/bin/python", "--requirement")
    match recipe.kind:
        case Kind.PROJECT if recipe.has(UV_LOCK):
            return ((find_uv(), "sync", "--python", sys.executable, *_LOCKED),)
        case Kind.PROJECT | Kind.REQUIREMENTS:
            return python, (*install, recipe.kind.source)
        case Kind.NODE:
            how = ("ci",) if recipe.has(PACKAGE_LOCK) else ("install", "--no-package-lock")
            return ((_find("npm"), *how, *_NPM),)


def find_uv() -> str:
    """The `uv` that the operator has put on PATH, else the one that was installed with Silkmill."""
    return shutil.which("uv") or uv.find_uv_bin()


def machine_of(kind: Kind) -> str:
    """What, beside the files, an environment depends on. Raises PreparationFailed."""
    return _node_machine(_find("node")) if kind is Kind.NODE else _python_machine()


@cache
def _python_machine() -> str:
    base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python} {sysconfig.get_platform()} {base}"


@cache
def _node_machine(node: str) -> str:
    """Its file stands for its version: to ask it would start a process."""
    real = os.path.realpath(node)
    status = os.stat(real)  # noqa: PTH116
    return f"node {real} {status.st_size} {status.st_mtime_ns} {sysconfig.get_platform()}"


@cache
def _find(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        raise PreparationFailed(
            f"package.json needs {tool}, which is not on the PATH of the engine; install Node.js there",
            permanent=True,
        )
    return found
