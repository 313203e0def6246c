"""Ways to run a project: programs of its own, children, other settings, several crawlers; a cancel."""

import signal
import subprocess

import pytest
from scrapy_project import PYTHON, Crawl
from sdk_spider import environment

PARSE = """
def parse(self, response):
    yield {"spider": self.name}
"""
CANCEL = b'{"type":"CANCEL","payload":{"grace_seconds":5}}\n'
PROCESS = """
from scrapy.crawler import CrawlerProcess
from scrapy.utils.project import get_project_settings

process = CrawlerProcess(get_project_settings())
"""


def test_a_program_with_two_crawlers_decides_once_for_both(project, site, refused):
    project.spider(PARSE, name="one")
    project.spider(PARSE, name="two")
    project.write(
        "main.py",
        PROCESS
        + """
import sys
for name, url in zip(["one", "two"], sys.argv[1:]):
    process.crawl(name, url=url)
process.start()
""",
    )
    crawl = project.run("main.py", site.url("/a"), site.url("/b"))
    assert sorted(item["spider"] for item in crawl.items) == ["one", "two"]
    assert crawl.status["pages"] == crawl.status["items"] == 2 and crawl.fatal == []

    crawl = project.run("main.py", refused, site.url("/b"))
    assert len(crawl.items) == 1 and len(crawl.errors) == 1 and crawl.fatal == []

    crawl = project.run("main.py", refused, refused)
    assert len(crawl.fatal) == 1 and crawl.fatal[0][1].startswith("all 2 requests failed")


def test_one_crawler_after_the_other(project, site, refused):
    project.spider(PARSE)
    project.write(
        "main.py",
        """
        import sys
        from scrapy.crawler import CrawlerRunner
        from scrapy.utils.log import configure_logging
        from scrapy.utils.project import get_project_settings
        from scrapy.utils.reactor import install_reactor
        install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")
        from twisted.internet import defer, reactor
        settings = get_project_settings()
        settings["TWISTED_REACTOR"] = None
        configure_logging(settings)
        runner = CrawlerRunner(settings)

        @defer.inlineCallbacks
        def crawl():
            for url in sys.argv[1:]:
                yield runner.crawl("shop", url=url)
            reactor.stop()

        reactor.callWhenRunning(crawl)
        reactor.run()
        """,
    )
    crawl = project.run("main.py", refused, site.url("/a"))
    assert crawl.fatal == [] and len(crawl.items) == 1, crawl.log
    assert project.run("main.py", refused, refused).fatal[0][0] == "network"


def test_crawls_in_processes_of_multiprocessing(project, site, refused):
    project.spider(PARSE)
    project.write(
        "main.py",
        f"""
        import multiprocessing, sys
        def crawl(url):
            {PROCESS.strip().replace(chr(10), chr(10) + " " * 12)}
            process.crawl("shop", url=url)
            process.start()
        if __name__ == "__main__":
            for url in sys.argv[1:]:
                child = multiprocessing.get_context("fork").Process(target=crawl, args=(url,))
                child.start()
                child.join()
        """,
    )
    crawl = project.run("main.py", site.url("/a"), site.url("/b"))
    assert len(crawl.items) == 2 and crawl.fatal == [], crawl.log
    assert project.run("main.py", refused).fatal[0][0] == "network"


def test_a_child_process_is_as_its_parent(project, site):
    project.spider(PARSE)
    project.write(
        "main.py",
        """
        import subprocess, sys
        command = [sys.executable, "-m", "scrapy", "crawl", "shop", "-a", "url=" + sys.argv[1]]
        subprocess.run(command, check=True)
        """,
    )
    crawl = project.run("main.py", site.url("/a"))
    assert crawl.items == [{"spider": "shop"}] and crawl.said_hello


def test_no_page_can_forge_an_item(project, site):
    project.spider('def parse(self, response):\n    print(\'{"type":"INSERT_DATA","payload":{"a":1}}\')')
    crawl = project.crawl(site.url("/a"))
    assert crawl.items == [] and crawl.forged == 1


def test_settings_are_found_as_scrapy_does(project, site):
    project.write("scrapy.cfg", "[settings]\ndefault = shop.settings\nother = shop.others\n")
    project.write("shop/others.py", "from shop.settings import *\nBOT_NAME = 'other'\n")
    project.write("shop/mine.py", "from shop.settings import *\nBOT_NAME = 'mine'\n")
    ask = ("-m", "scrapy", "settings", "--get", "BOT_NAME")
    assert project.run(*ask).text == "shop\n"
    assert project.run(*ask, SCRAPY_PROJECT="other").text == "other\n"
    assert project.run(*ask, SILKMILL_SCRAPY_SETTINGS="shop.mine").text == "mine\n"
    (project.folder / "below").mkdir()
    below = "import os; os.chdir('below'); from scrapy.cmdline import execute; execute(['scrapy', 'list'])"
    project.spider(PARSE)
    assert project.run("-c", below).text == "shop\n"


def test_a_project_without_a_settings_module(project):
    project.write("scrapy.cfg", "[deploy]\n")
    assert project.run("-m", "scrapy", "settings", "--get", "BOT_NAME").text == "scrapybot\n"


@pytest.mark.parametrize("broken", ["import nowhere", "BOT_NAME = 1 / 0"])
def test_a_broken_settings_module_shows_its_own_traceback(project, broken):
    project.settings(broken)
    crawl = project.run("-m", "scrapy", "crawl", "shop")
    assert crawl.returncode == 1 and broken in crawl.log
    assert crawl.log.splitlines()[-1].startswith(("ModuleNotFoundError: ", "ZeroDivisionError: "))
    assert "During handling" not in crawl.log


def test_outside_of_silkmill_the_settings_are_those_of_the_project(project, site):
    project.spider(PARSE)
    crawl = project.crawl(site.url("/a"), SILKMILL_IPC_NONCE="")
    assert crawl.returncode == 0 and crawl.text == "" and "silkmill.sdk.scrapy.e" not in crawl.log
    assert "'item_scraped_count': 1" in crawl.log


@pytest.fixture
def slow(project, site):
    """A spider with a slow page under way and others in its queue; starts it, gives the process."""
    project.spider(PARSE)

    def start(reactor: str, signalled: bool = False) -> "subprocess.Popen[bytes]":
        urls = "\n".join(site.url(f"/slow{number}") for number in range(30))
        options = ["-s", "JOBDIR=job", "-s", "CONCURRENT_REQUESTS=1", "-s", f"TWISTED_REACTOR={reactor}"]
        process = project.start("-m", "scrapy", "crawl", "shop", "-a", f"url={urls}", *options)
        assert site.slow_asked.wait(30)
        return process

    return start


REACTORS = [
    "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    "twisted.internet.epollreactor.EPollReactor",
]


@pytest.mark.parametrize("reactor", REACTORS)
@pytest.mark.parametrize("terminated", [False, True])
def test_a_cancel_closes_the_spider_and_keeps_its_queue(project, site, slow, reactor, terminated):
    process = slow(reactor)
    process.stdin.write(CANCEL)
    process.stdin.flush()
    log = wait_for(process, b"Closing spider (cancelled)")
    if terminated:
        process.send_signal(signal.SIGTERM)
    site.release()
    stdout, stderr = process.communicate(timeout=30)
    crawl = Crawl(process.returncode, stdout, log + stderr)
    assert crawl.returncode == 0 and crawl.status["finish_reason"] == "cancelled", crawl.log
    assert crawl.fatal == [] and "forcing" not in crawl.log
    queue = project.folder / "job" / "requests.queue"
    assert (queue / "active.json").read_text() not in ("", "[]", "{}"), "requests are left for the next run"
    assert len(site.paths) < 30


@pytest.mark.parametrize("reactor", REACTORS)
def test_where_crawlab_is_imported_sigterm_closes_the_spider(project, site, slow, reactor):
    project.write("crawlab.py", "")
    project.write("shop/spiders/other.py", "import crawlab")
    process = slow(reactor)
    process.send_signal(signal.SIGTERM)
    log = wait_for(process, b"Closing spider (shutdown)")
    site.release()
    stdout, stderr = process.communicate(timeout=30)
    crawl = Crawl(process.returncode, stdout, log + stderr)
    assert not crawl.said_hello and crawl.fatal == [] and crawl.status["finish_reason"] == "shutdown"
    assert (project.folder / "job" / "requests.queue" / "active.json").read_text() not in ("", "[]", "{}")


def wait_for(process: "subprocess.Popen[bytes]", text: bytes) -> bytes:
    """Reads the log up to a line with this text."""
    log = b""
    while text not in log:
        line = process.stderr.readline()
        assert line, log.decode()
        log += line
    return log


def test_nothing_of_scrapy_is_imported_by_the_sdk_itself(sdk_folder):
    script = "import sys; from silkmill.sdk import save_item; assert 'scrapy' not in sys.modules"
    assert subprocess.run([PYTHON, "-c", script], env=environment(sdk_folder)).returncode == 0
