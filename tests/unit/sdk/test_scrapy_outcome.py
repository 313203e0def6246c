"""What a crawl of a real Scrapy process reports, and when it says that it failed."""

import pytest

REFUSED = {"ConnectionRefusedError", "DownloadConnectionRefusedError"}  # Twisted's, and a newer Scrapy's
PARSE = """
def parse(self, response):
    yield {"page": response.url.rsplit("/", 1)[1], "status": response.status}
"""
RAISE = """
def parse(self, response):
    raise KeyError("price")
"""


def test_a_healthy_spider(project, site):
    project.spider(PARSE)
    crawl = project.crawl(*(site.url(f"/{number}") for number in range(3)))
    assert crawl.returncode == 0 and crawl.said_hello and crawl.text == ""
    assert sorted(item["page"] for item in crawl.items) == ["0", "1", "2"]
    assert crawl.fatal == [] and crawl.errors == [] and crawl.bad == crawl.forged == 0
    assert crawl.status == {
        "pages": 3,
        "items": 3,
        "requests": 3,
        "errors": 0,
        "finish_reason": "finished",
        "responses": {"200": 3},
        "exceptions": {},
    }


def test_every_request_refused_is_of_the_network(project, refused):
    project.spider(PARSE)
    crawl = project.crawl(refused + "a", refused + "b")
    assert crawl.returncode == 0
    [name] = set(crawl.errors)
    assert name in REFUSED and len(crawl.errors) == 2
    [(error_class, message)] = crawl.fatal
    assert error_class == "network"
    assert message.startswith(f"all 2 requests failed, most with {name}: ") and "refused" in message
    assert crawl.status["errors"] == 2 and crawl.status["requests"] == 4, "each was retried once"
    assert crawl.status["exceptions"] == {name: 2}


def test_robots_txt_is_no_request_of_the_spider(project, refused, site):
    project.settings("ROBOTSTXT_OBEY = True")
    project.spider(PARSE)
    crawl = project.crawl(refused)
    assert len(crawl.errors) == 1 and crawl.fatal[0][0] == "network"
    crawl = project.crawl(site.url("/a"))
    assert site.paths == ["/robots.txt", "/a"]
    assert crawl.status["pages"] == crawl.status["requests"] == 1 and crawl.errors == crawl.fatal == []


@pytest.mark.parametrize("url", ["htp://127.0.0.1/", "http://127.0.0.1:port/"])
def test_an_address_that_is_none_is_of_the_spider(project, url):
    project.spider(PARSE)
    crawl = project.crawl(url)
    assert crawl.fatal[0][0] == crawl.errors[0] != "network"


def test_an_errback_does_not_hide_a_failed_network(project, refused):
    body = (
        PARSE
        + """
def start_requests(self):
    yield scrapy.Request(self.url, errback=self.note)

def note(self, failure):
    self.logger.warning("never mind")
"""
    )
    project.spider(body)
    crawl = project.crawl(refused)
    assert len(crawl.errors) == 1 and crawl.fatal[0][0] == "network"


def test_some_refused_requests_are_errors_and_no_failure(project, refused, site):
    project.spider(PARSE)
    crawl = project.crawl(refused, site.url("/a"))
    assert len(crawl.errors) == 1 and crawl.fatal == [] and len(crawl.items) == 1


def test_an_answer_that_is_nonsense_is_of_the_network(project, site):
    project.spider(PARSE)
    assert project.crawl(site.url("/broken")).fatal[0][0] == "network"


def test_pages_that_are_missing_are_no_failure(project, site):
    project.spider(PARSE)
    crawl = project.crawl(site.url("/missing1"), site.url("/missing2"))
    assert crawl.errors == crawl.fatal == crawl.items == []
    assert crawl.status["responses"] == {"404": 2} and crawl.status["pages"] == 2


def test_a_callback_that_raises(project, site):
    project.spider(RAISE)
    crawl = project.crawl(site.url("/1"), site.url("/2"))
    assert crawl.returncode == 0
    assert crawl.errors == ["KeyError"] * 2 and crawl.messages == ["'price'"] * 2
    assert crawl.fatal == [("KeyError", "2 exceptions and no item saved: 'price'")]
    assert crawl.status["exceptions"] == {"KeyError": 2}


def test_a_callback_that_raises_once_among_items_is_an_error_and_no_failure(project, site):
    body = """
def parse(self, response):
    if response.url.endswith("bad"):
        raise KeyError("price")
    yield {"a": 1}
"""
    project.spider(body)
    crawl = project.crawl(site.url("/good"), site.url("/bad"))
    assert crawl.errors == ["KeyError"] and crawl.fatal == [] and crawl.items == [{"a": 1}]


@pytest.mark.parametrize("reactor", ["asyncioreactor.AsyncioSelectorReactor", "epollreactor.EPollReactor"])
def test_start_requests_that_raise(project, reactor):
    project.settings(f"TWISTED_REACTOR = 'twisted.internet.{reactor}'")
    project.spider("def start_requests(self):\n    yield from ()\n    raise LookupError('no list of pages')")
    crawl = project.crawl()
    assert crawl.errors == ["LookupError"]
    assert crawl.fatal == [("LookupError", "an exception and no item saved: no list of pages")]


def test_an_errback_and_a_spider_middleware_that_raise(project, site, refused):
    project.write(
        "shop/middlewares.py",
        """
        class Breaks:
            def process_spider_output(self, response, result, spider=None):
                yield from result
                raise ArithmeticError("after the items")
            async def process_spider_output_async(self, response, result, spider=None):
                async for each in result:
                    yield each
                raise ArithmeticError("after the items")
        """,
    )
    project.settings("SPIDER_MIDDLEWARES = {'shop.middlewares.Breaks': 1}")
    body = """
def start_requests(self):
    for url in self.url.split():
        yield scrapy.Request(url, errback=self.note)

def note(self, failure):
    raise ValueError("in the errback")
"""
    project.spider(body + PARSE)
    crawl = project.crawl(site.url("/a"), refused)
    assert len(crawl.errors) == 3 and REFUSED & set(crawl.errors)
    assert {"ArithmeticError", "ValueError"} < set(crawl.errors)


@pytest.mark.parametrize("method", ["process_request", "process_response"])
def test_a_bug_in_a_downloader_middleware_is_none_of_the_network(project, site, method):
    project.write(
        "shop/middlewares.py",
        f"""
        class Breaks:
            def {method}(self, request, *others, **more):
                raise TypeError("a bug")
        """,
    )
    project.settings("DOWNLOADER_MIDDLEWARES = {'shop.middlewares.Breaks': 600}")
    project.spider(PARSE)
    crawl = project.crawl(site.url("/a"), site.url("/b"))
    assert crawl.errors == ["TypeError"] * 2
    [(error_class, message)] = crawl.fatal
    assert error_class == "TypeError" and message.endswith("a bug")


BROKEN = """
from twisted.internet import reactor, task

class Extension:
    @classmethod
    def from_crawler(cls, crawler):
        raise RuntimeError("no database")

class Pipeline:
    def open_spider(self, spider=None):
        raise RuntimeError("no database")

class LatePipeline:
    def open_spider(self, spider=None):
        return task.deferLater(reactor, 0.1, Pipeline().open_spider)
"""


@pytest.mark.parametrize(
    "settings, init",
    [
        ("", "raise RuntimeError('no database')"),
        ("ITEM_PIPELINES = {'shop.broken.Pipeline': 1}", "pass"),
        ("ITEM_PIPELINES = {'shop.broken.LatePipeline': 1}", "pass"),
        ("EXTENSIONS = {'shop.broken.Extension': 1}", "pass"),
        ("LOG_FORMATTER = 'shop.nowhere.Formatter'", "pass"),
    ],
)
def test_a_spider_that_cannot_be_opened(project, site, settings, init):
    """Scrapy exits with 1 in most of these cases, but not in all."""
    project.write("shop/broken.py", BROKEN)
    project.settings(settings)
    project.spider(f"{PARSE}\ndef __init__(self, url):\n    {init}")
    crawl = project.crawl(site.url("/a"))
    assert crawl.returncode == 1 or crawl.fatal[0][1].startswith("no spider was opened: no database")
    assert site.paths == []
    assert ("No module named 'shop.nowhere'" if "nowhere" in settings else "no database") in crawl.log


def test_a_pipeline_that_raises_for_every_item(project, site):
    project.write(
        "shop/pipelines.py",
        """
        class Breaks:
            def process_item(self, item, spider=None):
                raise OSError("no database")
        """,
    )
    project.settings("ITEM_PIPELINES = {'shop.pipelines.Breaks': 1}")
    project.spider(PARSE)
    crawl = project.crawl(site.url("/a"))
    assert crawl.errors == ["OSError"] and crawl.items == []
    assert crawl.fatal == [("OSError", "an exception and no item saved: no database")]


def test_numbers_are_told_while_a_callback_keeps_the_reactor_busy(project, site):
    project.spider("def parse(self, response):\n    import time\n    time.sleep(1.5)\n    yield {'a': 1}")
    crawl = project.crawl(site.url("/a"))
    assert {"pages": 1, "items": 0, "requests": 1, "errors": 0} in crawl.statuses


def test_a_spider_stopped_by_a_signal_has_not_failed(project, refused):
    body = """
def start_requests(self):
    yield scrapy.Request(self.url, errback=self.stop)

def stop(self, failure):
    import os, signal
    os.kill(os.getpid(), signal.SIGTERM)
    yield from (scrapy.Request(self.url + str(number)) for number in range(100))
"""
    project.spider(body)
    crawl = project.crawl(refused)
    assert crawl.status["finish_reason"] == "shutdown" and crawl.errors and crawl.fatal == []
