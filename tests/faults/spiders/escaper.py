"""Ends at once and leaves a process behind that tries to get away, in the way that WAY names.

MARK: path; what is left behind appends to `<MARK>.grows` every 20 ms, for ever, and the last act of the main
process is to write the time into `<MARK>.ended`. Exits with CODE."""

import os
import subprocess
import sys
import time

mark, way = os.environ["MARK"], os.environ["WAY"]
LOOP = "while :; do echo x >> '%s.grows'; sleep 0.02; done" % mark
HERE = "echo x >> '%s.grows'; " % mark


def double_fork():
    """As daemons do: fork, a session of its own, fork, all descriptors closed, no environment."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 256)
    os.chdir("/")
    os.execve("/bin/sh", ["sh", "-c", LOOP], {})


def shell(command):
    subprocess.run(["sh", "-c", command], check=True)


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


WAYS = {
    "double-fork": double_fork,
    "nohup": lambda: shell("nohup sh -c %s > /dev/null 2>&1 < /dev/null &" % quoted(LOOP)),
    "setsid": lambda: shell("trap '' TERM HUP; setsid sh -c %s > /dev/null 2>&1 &" % quoted(LOOP)),
    "holds-stdout": lambda: shell("sh -c %s &" % quoted(LOOP)),
    "holds-stdout-setsid": lambda: shell("setsid sh -c %s &" % quoted(LOOP)),
}
WAYS[way]()
while not os.path.exists(mark + ".grows"):
    time.sleep(0.005)
sys.stdout.write("gone, and left one behind: " + way)
sys.stdout.flush()
with open(mark + ".ended", "w") as file:
    file.write(repr(time.time()))
os._exit(int(os.environ.get("CODE", "0")))
