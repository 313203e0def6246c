"""An archive of a spider's folder, unpacked by rules that no member can get around."""

from __future__ import annotations

from silkmill.client.archive.members import BadArchive
from silkmill.client.archive.unpack import SUFFIXES, is_archive, unpacked

__all__ = ["SUFFIXES", "BadArchive", "is_archive", "unpacked"]
