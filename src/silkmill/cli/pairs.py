"""`-a k=v` and `-e K=V` as dictionaries."""

from __future__ import annotations

import click


def pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """A click callback. The last one of a name counts."""
    read = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} has no form NAME=VALUE", ctx, param)
        read[name] = value
    return read
