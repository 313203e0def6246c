"""The command line: stdout is data, stderr is talk."""

from silkmill.cli.app import main

__all__ = ["main"]
