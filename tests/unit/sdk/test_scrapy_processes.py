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


SLOW = """
def parse(self, response):
    yield from (response.follow("/slow%d" % number, self.save) for number in range(20))

def save(self, response):
    yield {"page": response.url.rsplit("/", 1)[1]}
"""
CLOSES_SLOWLY = """
from twisted.internet import reactor, task

class Pipeline:
    def close_spider(self, spider=None):
        return task.deferLater(reactor, 0.5, lambda: None)
"""
REACTORS = [
    "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    "twisted.internet.epollreactor.EPollReactor",
]


@pytest.fixture(params=REACTORS)
def job(project, request):
    """The options of a crawl whose state is kept, of a spider with many slow pages in its queue."""
    project.write("shop/pipelines.py", CLOSES_SLOWLY)
    project.settings("ITEM_PIPELINES = {'shop.pipelines.Pipeline': 1}")
    project.spider(SLOW)
    pairs = ["JOBDIR=job", "CONCURRENT_REQUESTS=1", f"TWISTED_REACTOR={request.param}"]
    return tuple(word for pair in pairs for word in ("-s", pair))


def stopped(project, site, job: tuple[str, ...], reason: str, cancel: bool, terminate: bool) -> Crawl:
    """A crawl of this job that is asked to end while it waits for a slow page."""
    process = project.start("-m", "scrapy", "crawl", "shop", "-a", f"url={site.url('/first')}", *job)
    assert site.slow_asked.wait(30)
    if cancel:
        process.stdin.write(CANCEL)
        process.stdin.flush()
    else:
        process.send_signal(signal.SIGTERM)
    log = wait_for(process, f"Closing spider ({reason})".encode())
    if terminate:
        process.send_signal(signal.SIGTERM)
    site.release()
    stdout, stderr = process.communicate(timeout=30)
    crawl = Crawl(process.returncode, stdout, log + stderr)
    assert crawl.returncode == 0 and crawl.status["finish_reason"] == reason, crawl.log
    assert crawl.fatal == [] and "forcing" not in crawl.log
    return crawl


def assert_the_rest_follows(project, site, job: tuple[str, ...], crawl: Crawl) -> None:
    assert (project.folder / "job" / "requests.queue" / "active.json").read_text() not in ("[]", "{}")
    rest = project.crawl(options=job)
    pages = [item["page"] for item in crawl.items + rest.items]
    assert sorted(pages) == sorted(f"slow{number}" for number in range(20)), rest.log
    assert 0 < len(crawl.items) < 20


@pytest.mark.parametrize("terminated", [False, True])
def test_a_cancel_closes_the_spider_and_keeps_its_queue(project, site, job, terminated):
    crawl = stopped(project, site, job, "cancelled", cancel=True, terminate=terminated)
    assert_the_rest_follows(project, site, job, crawl)


def test_where_crawlab_is_imported_sigterm_closes_the_spider(project, site, job):
    project.write(
        "crawlab.py", "class CrawlabPipeline:\n    process_item = lambda self, item, spider=None: item"
    )
    project.settings("ITEM_PIPELINES = {'crawlab.CrawlabPipeline': 1}")
    crawl = stopped(project, site, job, "shutdown", cancel=False, terminate=False)
    assert not crawl.said_hello
    assert (project.folder / "job" / "requests.queue" / "active.json").read_text() not in ("[]", "{}")


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
