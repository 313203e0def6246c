"""Silkmill: a task execution engine for web crawlers."""

__version__ = "0.1.0"
