"""Crawls hostile pages: saves an item of its own for each page and prints the page as it is.

PAGES: a folder of files, printed in the order of their names. WAY: `sdk` saves through the SDK, `strict`
writes frames with the nonce itself. At the end it stays until `<PAGES>.stop`."""

import json
import os
import time
from pathlib import Path

pages = os.environ["PAGES"]
if os.environ["WAY"] == "sdk":
    from silkmill.sdk import save_item, status
else:

    def send(kind, payload):
        frame = json.dumps({"type": kind, "payload": payload})
        write_all(("\x1e%s %s\n" % (os.environ["SILKMILL_IPC_NONCE"], frame)).encode())

    def save_item(item):
        send("INSERT_DATA", item)

    def status(**fields):
        send("STATUS", fields)


def write_all(data):
    while data:
        data = data[os.write(1, data) :]


names = sorted(os.listdir(pages))
for number, name in enumerate(names):
    save_item({"genuine": number})
    write_all((Path(pages) / name).read_bytes())
save_item({"genuine": len(names)})
status(progress=0.5, message="genuine")
while not os.path.exists(pages + ".stop"):
    time.sleep(0.01)
