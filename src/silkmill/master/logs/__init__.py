"""The log of an attempt: stored as it grows, merged when it has ended, read in pieces all along."""

from silkmill.master.logs.layout import LogDamaged
from silkmill.master.logs.needle import Needle, parse_needle
from silkmill.master.logs.pages import LogPage
from silkmill.master.logs.reader import LogReader
from silkmill.master.logs.search import Found
from silkmill.master.logs.sieve import Hit
from silkmill.master.logs.upkeep import LogUpkeep
from silkmill.master.logs.wanted import Wanted
from silkmill.master.logs.writer import LogWriter

__all__ = [
    "Found",
    "Hit",
    "LogDamaged",
    "LogPage",
    "LogReader",
    "LogUpkeep",
    "LogWriter",
    "Needle",
    "Wanted",
    "parse_needle",
]
