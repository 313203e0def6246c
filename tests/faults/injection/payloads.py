"""Texts that a shell, a template, a format or an option parser would act on; most try to make a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

LONG = 100_000
_SHELL = (
    *("; TOUCH", "| TOUCH", "|| TOUCH", "&& TOUCH", "& TOUCH", "\nTOUCH\n", "\r\nTOUCH\r\n", "\\\nTOUCH"),
    *("$(TOUCH)", "`TOUCH`", "${IFS}$(TOUCH)", "${x:-$(TOUCH)}", "$((1+1))", "<(TOUCH)", "{ TOUCH; }"),
    *("'; TOUCH; '", '"; TOUCH; "', "'$(TOUCH)'", '"$(TOUCH)"', "\\'; TOUCH; \\'", "'\"'\"'; TOUCH"),
    *("> FILE", ">> FILE", "2> FILE", "| tee FILE", "() { :;}; TOUCH", "!TOUCH", "#", "~", "~root"),
    *("*", "?", "[a-z]*", "/etc/pass*", "{a,b}", "$HOME", "${PATH}", "%PATH%", "\\", "\\0", "\\n", "'", '"'),
)
_OPTIONS = (
    *("-", "--", "-rf", "--help", "--version", "-c", "-cimport os; os.system('TOUCH')", "-m", "-oX=TOUCH"),
    *("--output=FILE", "-o FILE", "@FILE", "-s X=1", "-sX=1", "-a x=1", "--set=X=1", "-s", "-a", "--pdb"),
)
_TEMPLATES = (
    *("{a}", "{b}", "{c}", "{{a}}", "{{", "}}", "{", "}", "{0}", "{}", "{a.__class__}", "{a!r}", "{{{a}}}"),
    *("{{ 7*7 }}", "{% raw %}", "${{7*7}}", "#{7*7}", "<%= 7*7 %>", "%s%n%x", "%(a)s", "$a", "\\g<0>", "\\1"),
)
_TEXTS = (
    *("", " ", "\t", "  two  blanks  ", "=", "a=b=c", "é 漢字 🕷", "\u202egnp.exe", "\ufeff", "\u2028"),
    *(
        "\x1b]0;TOUCH\x07",
        "\x01\x02\x7f\x85",
        "__import__('os').system('TOUCH')",
        "null",
        "1e999",
        "../../..",
    ),
)
_NAMES = (
    *("; touch $CANARY;", "$(touch $CANARY)", "`touch $CANARY`", "| touch $CANARY", "&& touch $CANARY"),
    *("'; touch $CANARY; '", '"$(touch $CANARY)"', "a\ntouch $CANARY\n", "\rtouch $CANARY", "> out", " "),
    *("-", "--", "-rf", "--help", "-c import os", "-m", "*", "?", "[a]", "~", "#", "!", "'", '"', "$HOME"),
    *("{a}", "{{", "%s", "é 漢字", "\x1b]0;x\x07", "\x01", "=", "a=b", "@a", ".env"),
)


def payloads(canary: Path) -> list[str]:
    """Each makes a file of its own in the folder, should anybody run it."""
    long = "x" * LONG + "; TOUCH"
    texts = (*_SHELL, *_OPTIONS, *_TEMPLATES, *_TEXTS, long)
    return [_aimed(text, canary / str(number)) for number, text in enumerate(texts)]


def hostile_names() -> list[str]:
    """Names of files. No slash can be in them: the file that they make is that of the variable CANARY."""
    return list(_NAMES)


def is_name(text: str) -> bool:
    """Whether a spider may be called so."""
    return re.fullmatch(r"[a-z0-9._-]{1,64}", text) is not None and text not in (".", "..")


def toml_text(text: str) -> str:
    """The text in quotes. JSON is nearly the same."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _aimed(text: str, file: Path) -> str:
    return text.replace("TOUCH", f"touch {file}").replace("FILE", str(file))
