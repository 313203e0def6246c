"""Writes down what it was given, byte for byte, and ends.

RECORDS: folder; `<task>.argv` and `<task>.environ` are what the kernel has, `<task>.files` the paths in its
working directory, each with a NUL behind it; `<task>.params` are the parameters, as JSON."""

import os

environment = os.environb
record = os.path.join(environment[b"RECORDS"], environment[b"SILKMILL_TASK_ID"])


def read(path):
    with open(path, "rb") as file:
        return file.read()


def keep(suffix, data):
    with open(record + suffix, "wb") as file:
        file.write(data)


paths = [os.path.join(folder, name)[2:] for folder, _, names in os.walk(b".") for name in names]
params = environment.get(b"SILKMILL_PARAMS")
keep(b".files", b"".join(path + b"\0" for path in paths))
keep(b".params", read(environment[b"SILKMILL_PARAMS_FILE"]) if params is None else params)
keep(b".environ", read("/proc/self/environ"))
keep(b".argv", read("/proc/self/cmdline"))
