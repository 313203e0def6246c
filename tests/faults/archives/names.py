"""Names that no member may have, alone or beside another one."""

from __future__ import annotations

TOML = b'name = "packed"\ncommand = "true"\n'
ESCAPED = "escaped-from-an-archive"
"""What no archive may leave anywhere."""

BAD_NAMES = {
    "slip": f"../{ESCAPED}",
    "deep-slip": f"a/b/../../../../../../../../{ESCAPED}",
    "absolute": f"/tmp/{ESCAPED}",
    "backslash": f"..\\{ESCAPED}",
    "drive": f"C:/{ESCAPED}",
    "drive-inside": f"a/c:{ESCAPED}",
    "nul": f"a\0/{ESCAPED}",
    "dot": f"a/./{ESCAPED}",
    "dots-only": "..",
    "empty-part": f"a//{ESCAPED}",
    "long-name": "n" * 256,
    "long-path": "/".join(["n" * 200] * 6),
    "deep": "/".join("d" * 70),
}
BAD_PAIRS = {
    "twins": ("main.py", "Main.py"),
    "twin-of-toml": ("a.py", "Spider.toml"),
    "twin-folders": ("lib/a.py", "LIB/b.py"),
    "sharp-s-twins": ("straße", "STRASSE"),
    "composed-twins": ("caf\u00e9", "cafe\u0301"),
    "same-twice": ("main.py", "main.py"),
    "toml-twice": ("a.py", "spider.toml"),
    "file-and-folder": ("lib", "lib/a.py"),
    "folder-and-file": ("lib/a.py", "lib"),
}
