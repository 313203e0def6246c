"""What an archive may hold: plain names that cannot be mistaken for each other, within budgets."""

from __future__ import annotations

import re
import unicodedata

from silkmill.client.archive.members import BadArchive, Member, shown
from silkmill.domain.paths import Tree, fault_of, folders_of

MOST_NAMES = 10_000
"""Members, and apart from that files and folders, some of which may be named by what lies in them only."""
MOST_BYTES = 256 << 20
MOST_EXTENSION_BYTES = 4 << 20
"""What tar archives say of members beside their headers: long names, times, attributes."""
HIGHEST_RATIO = 100
"""Times its own size that an archive may unpack to. Text and code reach ten, bombs a thousand."""
RATIO_FROM_BYTES = 8 << 20
"""Below it, any ratio is harmless."""
_DRIVE = re.compile(r"[A-Za-z]:")


class Budget:
    """Members and bytes that an archive of so many bytes may still unpack to."""

    def __init__(self, archive_bytes: int) -> None:
        self._allowed = min(MOST_BYTES, max(RATIO_FROM_BYTES, HIGHEST_RATIO * archive_bytes))
        self._bytes = self._members = self._extension_bytes = 0

    def take_member(self) -> None:
        self._members += 1
        if self._members > MOST_NAMES:
            raise BadArchive(f"it holds more than {MOST_NAMES} members; deploy the unpacked folder")

    def take_extension(self, count: int) -> None:
        self._extension_bytes += count
        if self._extension_bytes > MOST_EXTENSION_BYTES:
            raise BadArchive("its extended headers are too long; pack it without attributes")

    def take_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._allowed:
            raise BadArchive(
                f"it unpacks to more than {self._allowed} bytes (at most {MOST_BYTES}, and {HIGHEST_RATIO} "
                "times its own size); deploy the unpacked folder"
            )


class Names:
    """The members' paths, each checked against those before. The archive may be unpacked where case does not
    count and drives have letters, so what would be another file there is refused here too."""

    def __init__(self) -> None:
        self._tree = Tree()
        self._spelled: dict[str, str] = {}

    def path_of(self, member: Member) -> str | None:
        """Where a member belongs in the folder; None for the folder itself. Raises BadArchive."""
        path = member.name.removeprefix("./")
        if member.is_folder:
            path = path.removesuffix("/")
            if path in ("", "."):
                return None
        fault = fault_of(path) or self._fault_elsewhere(path)
        if fault is not None:
            raise BadArchive(f"the member {shown(member.name)} {fault}")
        clash = self._tree.clash_of_folder(path) if member.is_folder else self._tree.clash_of_file(path)
        if clash is not None:
            raise BadArchive(clash)
        if len(self._spelled) > MOST_NAMES:
            raise BadArchive(f"it holds more than {MOST_NAMES} files and folders; deploy the unpacked folder")
        return path

    def _fault_elsewhere(self, path: str) -> str | None:
        if any(_DRIVE.match(name) for name in path.split("/")):
            return "has a drive letter"
        for part in (path, *folders_of(path)):
            known = self._spelled.setdefault(_folded(part), part)
            if known != part:
                return f"differs from {shown(known)} in case or in form of characters only"
        return None


def is_of_macos(path: str) -> bool:
    """Its packers put attributes of files, and how folders are shown, between what they pack."""
    names = path.split("/")
    return "__MACOSX" in names or names[-1] == ".DS_Store" or names[-1].startswith("._")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFKC", path).casefold()
