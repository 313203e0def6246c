"""The log of an attempt: stored as it grows, merged when it has ended, read in pieces all along."""

from silkmill.master.logs.layout import LogDamaged
from silkmill.master.logs.pages import LogPage
from silkmill.master.logs.reader import LogReader
from silkmill.master.logs.search import Hit, Needle, parse_needle
from silkmill.master.logs.upkeep import LogUpkeep
from silkmill.master.logs.writer import LogWriter

__all__ = ["Hit", "LogDamaged", "LogPage", "LogReader", "LogUpkeep", "LogWriter", "Needle", "parse_needle"]
