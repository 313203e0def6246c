"""The folder on a spider's PYTHONPATH: `silkmill.sdk` and nothing else of ours."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import silkmill

_SOURCE = Path(silkmill.__file__).parent / "sdk"


def sdk_folder(data: Path) -> Path:
    """`<data>/sdk/<version>-<hash>`, made when it is not there, or not whole: a power cut may have emptied
    its files. Raises OSError."""
    content = _content_hash(_SOURCE)
    folder = data / "sdk" / f"{silkmill.__version__}-{content}"
    if not folder.exists() or _content_hash(folder / "silkmill" / "sdk") != content:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _make(folder)
    return folder


def _make(folder: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    package = unfinished / "silkmill"
    package.mkdir()
    (package / "__init__.py").write_text('"""Only the part that spiders use."""\n', encoding="utf-8")
    shutil.copytree(_SOURCE, package / "sdk", ignore=shutil.ignore_patterns("__pycache__"))
    unfinished.chmod(0o755)
    with contextlib.suppress(FileExistsError):
        os.rename(unfinished, folder)  # noqa: PTH104


def _content_hash(package: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:8]
