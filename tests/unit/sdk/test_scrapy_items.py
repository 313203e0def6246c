"""Items and settings of a project: what its own parts make of them, then ours; none lost, none twice."""

import json

import pytest

PARSE = """
def parse(self, response):
    for number in range(4):
        yield {"number": number}
"""
PIPELINES = """
from scrapy.exceptions import DropItem

class Double:
    def process_item(self, item, spider=None):
        return {**item, "double": item["number"] * 2}

class DropOdd:
    def process_item(self, item, spider=None):
        if item["number"] % 2:
            raise DropItem("odd")
        return item
"""
BOTH = "ITEM_PIPELINES = {'shop.pipelines.DropOdd': 300, 'shop.pipelines.Double': 900_000}"
KEPT = [{"number": 0, "double": 0}, {"number": 2, "double": 4}]
ALL = [{"number": number} for number in range(4)]


@pytest.fixture
def shop(project):
    project.write("shop/pipelines.py", PIPELINES)
    project.spider(PARSE)
    return project


def test_items_are_saved_as_the_pipelines_of_the_project_leave_them(shop, site):
    shop.settings(BOTH)
    crawl = shop.crawl(site.url("/a"))
    assert crawl.items == KEPT and crawl.status["items"] == 2 and crawl.errors == crawl.fatal == []


def test_pipelines_of_custom_settings(shop, site):
    shop.spider(f"custom_settings = dict({BOTH})" + PARSE)
    assert shop.crawl(site.url("/a")).items == KEPT


def test_base_settings_of_the_project_are_kept(shop, site):
    shop.write("shop/extensions.py", "class Own:\n    def __init__(self):\n        print('own extension')")
    shop.settings("""
        ITEM_PIPELINES_BASE = {"shop.pipelines.DropOdd": 1}
        EXTENSIONS_BASE = {"shop.extensions.Own": 0}
        ITEM_PIPELINES = {"shop.pipelines.Double": 300}
    """)
    crawl = shop.crawl(site.url("/a"))
    assert crawl.items == KEPT and crawl.text == "own extension\n"
    assert "corestats" not in crawl.log, "the project had taken Scrapy's own extensions out"


def test_items_of_every_kind(project, site):
    head = """
import dataclasses, datetime, decimal
import attr

class Book(__import__("scrapy").Item):
    title = __import__("scrapy").Field()

@dataclasses.dataclass
class Page:
    url: str
    seen: datetime.date

@attr.s(auto_attribs=True)
class Price:
    amount: decimal.Decimal
"""
    body = """
def parse(self, response):
    yield {"a": (1, 2), "nested": Book(title="x")}
    yield Book(title="y")
    yield Page("z", datetime.date(2026, 1, 2))
    yield Price(decimal.Decimal("1.10"))
"""
    project.spider(body, head)
    crawl = project.crawl(site.url("/a"))
    assert crawl.items == [
        {"a": [1, 2], "nested": {"title": "x"}},
        {"title": "y"},
        {"url": "z", "seen": "2026-01-02"},
        {"amount": "1.10"},
    ]


def test_an_item_that_only_an_adapter_of_the_project_knows(project, site):
    head = """
from itemadapter import ItemAdapter
from itemadapter.adapter import AdapterInterface

class Opaque:
    __slots__ = ("value",)
    def __init__(self):
        self.value = 5

class OpaqueAdapter(AdapterInterface):
    is_item_class = classmethod(lambda cls, item_class: item_class is Opaque)
    is_item = classmethod(lambda cls, item: type(item) is Opaque)
    field_names = lambda self: ["value"]
    __getitem__ = lambda self, name: getattr(self.item, name)
    __setitem__ = lambda self, name, value: setattr(self.item, name, value)
    __delitem__ = None
    __iter__ = lambda self: iter(["value"])
    __len__ = lambda self: 1

ItemAdapter.ADAPTER_CLASSES.appendleft(OpaqueAdapter)
"""
    project.spider("def parse(self, response):\n    yield Opaque()", head)
    assert project.crawl(site.url("/a")).items == [{"value": 5}]


def test_an_item_that_cannot_be_saved_is_an_error_and_reaches_the_feeds(project, site):
    project.settings("FEEDS = {'out.json': {'format': 'json'}}")
    body = """
def parse(self, response):
    yield {"good": 1}
    yield {"text": "x" * (8 << 20)}
"""
    project.spider(body)
    crawl = project.crawl(site.url("/a"), options=("-L", "ERROR"))
    assert crawl.items == [{"good": 1}] and crawl.errors == ["ValueError"] and crawl.fatal == []
    assert "Error saving {'text': 'xxx" in crawl.log and "ValueError: an item of" in crawl.log
    assert crawl.status["items"] == 1
    assert len(json.loads((project.folder / "out.json").read_text())) == 2


def test_no_item_that_can_be_saved_is_a_failure(project, site):
    project.spider("def parse(self, response):\n    yield {'object': object()}")
    crawl = project.crawl(site.url("/a"))
    assert crawl.items == [] and crawl.errors == ["TypeError"] and crawl.fatal[0][0] == "TypeError"


def test_items_can_be_turned_off(shop, site):
    crawl = shop.crawl(site.url("/a"), options=("-s", "SILKMILL_ITEMS=False"))
    assert crawl.items == [] and crawl.fatal == [] and crawl.status["items"] == 4
    assert "SilkmillPipeline" not in crawl.log


def test_a_spider_that_saves_by_itself_has_not_failed(project, site):
    head = "from silkmill.sdk import save_item\n"
    project.spider("def parse(self, response):\n    save_item({'a': 1})\n    raise KeyError('late')", head)
    crawl = project.crawl(site.url("/a"))
    assert crawl.items == [{"a": 1}] and crawl.errors == ["KeyError"] and crawl.fatal == []


CRAWLAB = """
import json, sys

def save_item(*items):
    line = json.dumps({"type": "data", "payload": items, "ipc": True}, separators=(",", ":"))
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()

class CrawlabPipeline:
    def process_item(self, item, spider=None):
        save_item(item)
        return item
"""
CRAWLAB_PIPELINE = "ITEM_PIPELINES = {'crawlab.CrawlabPipeline': 300}"


@pytest.fixture
def migrant(project):
    project.write("crawlab/__init__.py", CRAWLAB)
    project.spider(PARSE)
    return project


def test_crawlabs_pipeline_saves_each_item_once(migrant, site):
    migrant.settings(CRAWLAB_PIPELINE)
    crawl = migrant.crawl(site.url("/a"))
    assert crawl.items == ALL and crawl.forged == 0 and not crawl.said_hello
    assert crawl.status["items"] == 4 and crawl.fatal == []
    assert "crawlab is imported" in crawl.log


def test_crawlabs_pipeline_in_custom_settings(migrant, site):
    migrant.spider(f"custom_settings = dict({CRAWLAB_PIPELINE})" + PARSE)
    crawl = migrant.crawl(site.url("/a"))
    assert crawl.items == ALL and crawl.forged == 0


def test_a_spider_that_calls_crawlabs_save_item(migrant, site):
    migrant.spider(
        """
        def parse(self, response):
            save_item({"number": 0}, {"number": 1})
            yield {"number": 2}
            raise KeyError("late")
    """,
        "from crawlab import save_item\n",
    )
    crawl = migrant.crawl(site.url("/a"))
    assert crawl.items == ALL[:2] and crawl.forged == 0 and crawl.errors == ["KeyError"]
    assert crawl.fatal == [], "what it has saved is not known here"


def test_a_failure_is_told_beside_crawlabs_pipeline(migrant, site, refused):
    migrant.settings(CRAWLAB_PIPELINE)
    migrant.spider("def parse(self, response):\n    raise KeyError('price')")
    assert migrant.crawl(site.url("/a")).fatal[0][0] == "KeyError"
    assert migrant.crawl(refused).fatal[0][0] == "network"
