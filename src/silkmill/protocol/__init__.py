"""Bytes to values and back: what runner, agent and spider say to each other."""
