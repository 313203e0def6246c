"""spec.json: all that a runner needs to know about an attempt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from silkmill.ports.link import WorkOrder
from silkmill.protocol.attemptdir import SPEC_VERSION, WORK_DIRECTORY
from silkmill.worker.environments.folder import Environment
from silkmill.worker.log_head import LogHead
from silkmill.worker.settings import AgentSettings

if TYPE_CHECKING:
    from silkmill.protocol.attemptdir import Spec


@dataclass(frozen=True, slots=True)
class Given:
    """What was made ready for an attempt: its runner, its environments, the first lines of its log."""

    runner_pid: int
    environments: tuple[Environment, ...]
    head: LogHead


def spec_of(
    order: WorkOrder,
    settings: AgentSettings,
    given: Given,
    *,
    env: dict[str, str],
    nonce: str,
    boot_id: str,
    directory: Path,
) -> Spec:
    limits = order.config.limits
    return {
        "version": SPEC_VERSION,
        "task": order.ref.task_id,
        "attempt": order.ref.number,
        "argv": list(order.argv),
        "env": env,
        "cwd": str(directory / WORK_DIRECTORY),
        "nonce": nonce,
        "boot_id": boot_id,
        "ipc": "strict" if order.config.ipc == "strict" else "open",
        "stdin": "null" if order.config.stdin == "null" else "open",
        "limits": {
            "runtime": limits.runtime_seconds,
            "stall": limits.stall_seconds,
            "grace": limits.grace_seconds,
            "items": limits.items,
            "spool": settings.spool_bytes,
        },
        "containment": settings.containment,
        "environments": [environment.key for environment in given.environments],
        "log_size": given.head.size,
        "log_lines": given.head.lines,
    }
