"""The master: takes tasks in, places them, collects what their attempts say, and recovers what was lost."""
