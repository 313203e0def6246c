"""Wants to live: takes every signal it can with a handler that loops, and leaves a daemon behind.

MARK: path; the daemon appends to `<MARK>.grows` every 20 ms, `<MARK>.ready` is made when all is set up.
HELLO: when set, it takes a name of the SDK, which says hello, and so is asked to end before it is told to."""

import os
import signal
import subprocess
import time

if os.environ.get("HELLO"):
    from silkmill.sdk import save_item  # noqa: F401

mark = os.environ["MARK"]


def refuse(*_):
    while True:
        time.sleep(0.01)


for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, refuse)
subprocess.run(
    [
        "sh",
        "-c",
        "trap '' TERM INT HUP; setsid sh -c 'while :; do echo x >> \"$MARK.grows\"; sleep 0.02; done' &",
    ],
    check=True,
)
while not os.path.exists(mark + ".grows"):
    time.sleep(0.01)
open(mark + ".ready", "w").close()
refuse()
