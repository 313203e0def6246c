"""Why the build of an environment failed, told from what its tool has printed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_REASON_LENGTH = 600


class Cause(Enum):
    """BROKEN: the files ask for what cannot be had; no repeat helps. INDEX_AWAY and DISK_FULL pass by
    themselves. FAILED: anything else."""

    BROKEN = "broken"
    INDEX_AWAY = "index away"
    DISK_FULL = "disk full"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BuildFailure:
    cause: Cause
    reason: str


# The first that fits decides. What uv and npm themselves say, word for word; a package that is built says
# what it likes.
_SIGNS = (
    (Cause.DISK_FULL, r"No space left on device|Disk quota exceeded|code ENOSPC"),
    (
        Cause.INDEX_AWAY,
        r"error sending request|dns error|tcp connect error|operation timed out|"
        r"Request failed after|HTTP status server error|429 Too Many Requests|"
        r"code (ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|"
        r"ERR_SOCKET_TIMEOUT|E429|E5\d\d)\b",
    ),
    # An index that wants a password, not the file, is to blame for what was not found in it.
    (Cause.FAILED, r"401 Unauthorized|403 Forbidden|code E40[13]\b"),
    (
        Cause.BROKEN,
        r"No solution found|[Ff]ailed to parse|Couldn't parse|Error parsing included file|"
        r"lockfile .* needs to be updated|Unable to find lockfile|Hash mismatch|"
        r"incompatible with the project's Python requirement|Distribution not found at|File not found|"
        r"code (EJSONPARSE|EUSAGE|ETARGET|E404|ERESOLVE|EINTEGRITY|EINVALIDPACKAGENAME|EINVALIDTAGNAME|"
        r"EBADPLATFORM|EBADENGINE|ENOENT|EUNSUPPORTEDPROTOCOL)\b",
    ),
)
_NPM_CODE = re.compile(r"^npm (?:error|ERR!) (code \w+)$")
_ERROR = re.compile(r"^(?:error:| {0,2}×|npm error|npm ERR!)\s*", re.IGNORECASE)
_HINT = "hint:"
_CONTINUED = re.compile(r"^\s*cause:\s*|^\s+(?:[├╰]─▶\s*)?")


def failure_of(tool: str, exit_code: int, lines: list[str]) -> BuildFailure:
    """`lines`: the last ones that the tool has printed."""
    errors = _errors(lines)
    telling = _npm_code(lines) if tool.startswith("npm") else "\n".join([*errors, *_hints(lines)])
    cause = next((cause for cause, sign in _SIGNS if re.search(sign, telling)), Cause.FAILED)
    said = ": ".join(errors)[:_REASON_LENGTH]
    return BuildFailure(cause, f"{tool} failed{f': {said}' if said else f' with exit code {exit_code}'}")


def _npm_code(lines: list[str]) -> str:
    """Its first line of an error. What follows may be the output of a package's script."""
    return next((found[1] for line in lines if (found := _NPM_CODE.match(line))), "")


def _hints(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(_HINT)]


def _errors(lines: list[str]) -> list[str]:
    """Without what only repeats that they are errors. The output of a package is indented, behind an empty
    line."""
    errors: list[str] = []
    follows = False
    for line in lines:
        if found := _ERROR.match(line):
            errors.append(line[found.end() :].strip())
            follows = True
        elif follows and (found := _CONTINUED.match(line)):
            errors.append(line[found.end() :].strip())
        else:
            follows = False
    return list(filter(None, errors))
