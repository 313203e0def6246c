"""Why a build failed, told from the words of uv and npm."""

from __future__ import annotations

import pytest

from silkmill.domain.build_failure import Cause, failure_of

CASES = [
    (Cause.BROKEN, "error: No solution found when resolving dependencies\n  cause: Because x was not found"),
    (Cause.BROKEN, "error: Couldn't parse requirement in `requirements.txt` at position 0"),
    (Cause.BROKEN, "error: Error parsing included file in `requirements.txt` at position 0"),
    (Cause.BROKEN, "error: Failed to parse `uv.lock`\n  cause: TOML parse error at line 1, column 8"),
    (Cause.BROKEN, "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided."),
    (Cause.BROKEN, "error: Distribution not found at: file:///x/local"),
    (Cause.BROKEN, "  × No solution found when resolving dependencies:\n  ╰─▶ Because x was not found"),
    (Cause.BROKEN, "npm ERR! code E404"),
    (Cause.BROKEN, "npm error code EJSONPARSE\nnpm error JSON.parse Invalid package.json"),
    (Cause.BROKEN, "npm error code E404\nnpm error 404 Not Found - GET http://x.test/dep"),
    (Cause.BROKEN, "npm error code EUSAGE\nnpm error\nnpm error Missing: dep@1.0.0 from lock file"),
    (
        Cause.INDEX_AWAY,
        "error: Request failed after 3 retries in 10.4s\n  cause: error sending request for url (x)\n"
        "  cause: tcp connect error",
    ),
    (
        Cause.INDEX_AWAY,
        "error: Failed to fetch: x\n  cause: HTTP status server error (503 Service Unavailable)",
    ),
    (Cause.INDEX_AWAY, "npm error code ECONNREFUSED\nnpm error syscall connect"),
    (Cause.INDEX_AWAY, "npm error code E503\nnpm error 503 Service Unavailable"),
    (
        Cause.FAILED,
        "error: No solution found when resolving dependencies\n\nhint: An index URL could not be queried due "
        "to a lack of valid authentication credentials (401 Unauthorized)",
    ),
    (Cause.FAILED, "error: Failed to build `x`\n  cause: The build backend returned an error"),
    (Cause.FAILED, ""),
    (Cause.DISK_FULL, "error: failed to write\n  cause: No space left on device (os error 28)"),
    (Cause.DISK_FULL, "npm error code ENOSPC\nnpm error syscall write"),
]


BACKEND = """error: Failed to build `x`
  cause: The build backend returned an error
  cause: Call to `backend.build_wheel` failed (exit status: 3)

         [stdout]
         operation timed out

         [stderr]
         error: No space left on device

hint: Build failures usually indicate a problem with the package or the build environment"""
SCRIPT = """npm error code 3
npm error path /x/node_modules/dep
npm error command failed
npm error code ENOTFOUND
npm error No space left on device
npm error npm error code E404"""


def tool_of(output: str) -> str:
    return "npm ci" if output.startswith("npm") else "uv pip"


@pytest.mark.parametrize(("cause", "output"), CASES)
def test_the_cause(cause: Cause, output: str) -> None:
    assert failure_of(tool_of(output), 1, output.splitlines()).cause is cause


@pytest.mark.parametrize("output", [BACKEND, SCRIPT, "operation timed out\nNo space left on device"])
def test_what_a_package_prints_is_no_sign(output: str) -> None:
    assert failure_of(tool_of(output), 1, output.splitlines()).cause is Cause.FAILED


def test_a_sign_far_behind_counts() -> None:
    output = ["error: " + "x" * 5000, "  cause: dns error"]
    assert failure_of("uv pip", 1, output).cause is Cause.INDEX_AWAY


def test_the_reason_is_the_error_on_one_line() -> None:
    output = ["Resolved", "error: No way", "  cause: Because", "", "hint: do more", "error:   And more"]
    assert (
        failure_of("uv pip install", 1, output).reason == "uv pip install failed: No way: Because: And more"
    )
    npm = ["npm warn old", "npm error code E404", "npm error", "npm error 404 Not Found"]
    assert failure_of("npm ci", 1, npm).reason == "npm ci failed: code E404: 404 Not Found"
    assert failure_of("uv", 3, ["nothing"]).reason == "uv failed with exit code 3"
    assert len(failure_of("uv", 1, ["error: " + "x" * 5000]).reason) < 700
