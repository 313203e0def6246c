"""A Scrapy project in a folder, run as the engine runs it, and what came out of it.

`SCRAPY_PYTHON=/path/to/python` runs them with the Scrapy of another environment.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from sdk_spider import NONCE, Said, environment

from silkmill.protocol.ipc import Decoder
from silkmill.protocol.ipcparts import Error, Hello, Status

PYTHON = os.environ.get("SCRAPY_PYTHON", sys.executable)

SETTINGS = """
BOT_NAME = "shop"
SPIDER_MODULES = ["shop.spiders"]
ROBOTSTXT_OBEY = False
RETRY_TIMES = 1
TELNETCONSOLE_ENABLED = False
DOWNLOAD_TIMEOUT = 10
"""

# Every argument `-a url=` of a spider is a page to begin with, as is every line of it.
SPIDER = """
import scrapy

class Shop(scrapy.Spider):
    name = "shop"
    url = ""

    def start_requests(self):
        for url in self.url.split():
            yield scrapy.Request(url, dont_filter=True)

    async def start(self):
        for request in self.start_requests():
            yield request
"""


class Crawl:
    """How a process of the project ended and what it said."""

    def __init__(self, returncode: int, stdout: bytes, stderr: bytes) -> None:
        decoder = Decoder(NONCE, "open")
        said = Said(decoder, decoder.feed(stdout) + decoder.finish())
        self.returncode, self.log = returncode, stderr.decode()
        self.bad, self.forged, self.text = said.bad, said.forged, said.text.decode()
        self.items = [json.loads(item) for item in said.items]
        self.said_hello = any(isinstance(message, Hello) for message in said.messages)
        self.statuses = [json.loads(part.payload) for part in said.messages if isinstance(part, Status)]
        errors = [part for part in said.messages if isinstance(part, Error)]
        self.errors = [error.error_class for error in errors if not error.fatal]
        self.messages = [error.message for error in errors if not error.fatal]
        self.fatal = [(error.error_class, error.message) for error in errors if error.fatal]

    @property
    def status(self) -> dict:
        return self.statuses[-1]


class Project:
    def __init__(self, folder: Path, sdk_folder: Path) -> None:
        self.folder = folder
        self._environment = environment(sdk_folder) | {
            "SCRAPY_SETTINGS_MODULE": "silkmill.sdk.scrapy.settings",
            "PYTHONUNBUFFERED": "1",
        }
        self.write("scrapy.cfg", "[settings]\ndefault = shop.settings\n")
        self.write("shop/__init__.py", "")
        self.write("shop/spiders/__init__.py", "")
        self.write("shop/settings.py", SETTINGS)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def settings(self, text: str) -> None:
        """Adds to those of the project."""
        self.write("shop/settings.py", SETTINGS + textwrap.dedent(text))

    def spider(self, body: str, head: str = "", name: str = "shop") -> None:
        """A spider of which `body` is the rest of the class."""
        text = head + SPIDER.replace('"shop"', repr(name)) + textwrap.indent(textwrap.dedent(body), "    ")
        self.write(f"shop/spiders/{name.replace('.', '_')}.py", text)

    def start(self, *command: str, **variables: str) -> "subprocess.Popen[bytes]":
        pipe = subprocess.PIPE
        env = {**self._environment, **variables}
        return subprocess.Popen(
            [PYTHON, *command], cwd=self.folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe
        )

    def run(self, *command: str, **variables: str) -> Crawl:
        with self.start(*command, **variables) as process:
            stdout, stderr = process.communicate(timeout=60)
            return Crawl(process.returncode, stdout, stderr)

    def crawl(self, *urls: str, name: str = "shop", options: tuple[str, ...] = (), **variables: str) -> Crawl:
        url = "url=" + "\n".join(urls)
        return self.run("-m", "scrapy", "crawl", name, "-a", url, *options, **variables)
