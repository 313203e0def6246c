"""The variables a spider sees: allow-listed from ours, declared by its owner, and told by the engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from silkmill.domain.environment import Kind
from silkmill.domain.scrapy import PROJECT_FILE
from silkmill.ports.link import WorkOrder
from silkmill.worker.environments.commands import MODULES
from silkmill.worker.environments.folder import Environment

PARAMS_IN_ENVIRONMENT = 100 * 1024  # the kernel takes 128 KiB for one variable
_ALLOWED = ("HOME", "LANG", "TZ", "TMPDIR")
SCRAPY_SETTINGS = "silkmill.sdk.scrapy.settings"
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def environment_of(
    order: WorkOrder,
    *,
    node: str,
    nonce: str,
    runner_pid: int,
    sdk: Path,
    directory: Path,
    environments: Sequence[Environment] = (),
) -> dict[str, str]:
    """All of it. Parameters that are too large for a variable are written into the attempt's directory.

    Raises OSError."""
    variables = (
        _from_agent()
        | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        | order.env
        | {"PYTHONPATH": _python_path(sdk, order.env.get("PYTHONPATH"))}
        | _told(order, node, nonce)
        | _params(order, directory)
        | _of_scrapy(order)
        | {"CRAWLAB_TASK_ID": order.ref.task_id, "CRAWLAB_PARENT_PID": str(runner_pid)}
    )
    for environment in reversed(environments):
        variables |= _of_environment(environment, variables["PATH"])
    return variables


def link_modules(environments: Sequence[Environment], directory: Path) -> None:
    """`node_modules` above the working directory, where `import` and `require` look too. In it, an `npm
    install` of a spider would change what others use. Raises OSError."""
    for environment in environments:
        if environment.kind is Kind.NODE:
            (directory / MODULES).symlink_to(environment.modules)


def _of_environment(environment: Environment, path: str) -> dict[str, str]:
    variables = {"PATH": f"{environment.bin}:{path}"}
    if environment.kind is not Kind.NODE:
        variables["VIRTUAL_ENV"] = str(environment.venv)
    return variables


def _of_scrapy(order: WorkOrder) -> dict[str, str]:
    """Our settings, which take in those of the project: whoever asks Scrapy for the settings gets them."""
    if all(file.path != PROJECT_FILE for file in order.files):
        return {}
    named = order.env.get("SCRAPY_SETTINGS_MODULE")
    own = {"SCRAPY_SETTINGS_MODULE": SCRAPY_SETTINGS}
    return own | {"SILKMILL_SCRAPY_SETTINGS": named} if named else own


def _from_agent() -> dict[str, str]:
    """The interpreter's folder comes first in PATH: `python` means the Python that Silkmill runs on."""
    interpreter = os.path.dirname(sys.executable)  # noqa: PTH120
    allowed = {name: os.environ[name] for name in _ALLOWED if name in os.environ}
    return {"PATH": f"{interpreter}:{os.environ.get('PATH', _DEFAULT_PATH)}"} | allowed


def _python_path(sdk: Path, declared: str | None) -> str:
    return f"{sdk}:{declared}" if declared else str(sdk)


def _told(order: WorkOrder, node: str, nonce: str) -> dict[str, str]:
    return {
        "SILKMILL_TASK_ID": order.ref.task_id,
        "SILKMILL_ATTEMPT": str(order.ref.number),
        "SILKMILL_PROJECT": order.project,
        "SILKMILL_SPIDER": order.spider,
        "SILKMILL_VERSION": order.version,
        "SILKMILL_NODE": node,
        "SILKMILL_SHARD_INDEX": "0",
        "SILKMILL_SHARD_TOTAL": "1",
        "SILKMILL_IPC_NONCE": nonce,
    }


def _params(order: WorkOrder, directory: Path) -> dict[str, str]:
    encoded = msgspec.json.encode(order.params)
    if len(encoded) <= PARAMS_IN_ENVIRONMENT:
        text = encoded.decode()
        return {"SILKMILL_PARAMS": text, "CRAWLAB_SPIDER_PARAM": text}
    file = directory / "params.json"
    file.write_bytes(encoded)
    return {"SILKMILL_PARAMS_FILE": str(file)}
