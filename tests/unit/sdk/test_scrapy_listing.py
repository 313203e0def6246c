"""`python -m silkmill.sdk.scrapy.listing`: the spiders of a project, or a sentence that helps."""

import subprocess
import sys
import venv

import pytest
from scrapy_project import Crawl
from sdk_spider import environment

PARSE = "def parse(self, response):\n    pass"


@pytest.fixture
def listed(project):
    """Lists a project of spiders with these names; `overrides` are those of its spider.toml."""

    def run(*names: str, overrides: tuple[str, ...] = ()) -> Crawl:
        classes = "".join(
            f"class Spider{number}(scrapy.Spider):\n    name = {name!r}\n"
            for number, name in enumerate(names)
        )
        project.write("shop/spiders/all.py", "import scrapy\n" + classes)
        return project.run("-m", "silkmill.sdk.scrapy.listing", *overrides)

    return run


def refused(crawl: Crawl) -> str:
    assert crawl.returncode == 1 and crawl.items == [] and "Traceback" not in crawl.log, crawl.log
    return crawl.log


def test_names_are_folded_and_sorted(listed):
    crawl = listed(
        "Zürich", "books.example.com", "News Today", "a_b-c.9", overrides=("news-today", "a_b-c.9")
    )
    assert crawl.returncode == 0 and crawl.errors == [] and crawl.log == ""
    assert crawl.items == [
        {"name": "a_b-c.9", "crawl": "a_b-c.9"},
        {"name": "books.example.com", "crawl": "books.example.com"},
        {"name": "news-today", "crawl": "News Today"},
        {"name": "z-rich", "crawl": "Zürich"},
    ]


def test_it_lists_what_scrapy_lists(listed, project):
    listed("one", "two")
    project.spider(PARSE, name="shop")
    crawl = project.run("-m", "silkmill.sdk.scrapy.listing")
    assert crawl.said_hello and [item["crawl"] for item in crawl.items] == ["one", "shop", "two"]
    assert project.run("-m", "scrapy", "list").text == "one\nshop\ntwo\n"


@pytest.mark.parametrize(
    "names, sentence",
    [
        (
            ("News", "news"),
            "the spiders 'News' and 'news' would both be called 'news' on Silkmill: rename one",
        ),
        (("--pdb",), "the spider '--pdb' has a name that `scrapy crawl` takes for an option: rename it"),
        (("..",), "the spider '..' has no letter a-z or digit in its name: rename it"),
        (("日本",), "the spider '日本' has no letter a-z or digit in its name: rename it"),
        (("x" * 65,), f"the spider '{'x' * 65}' has a name of more than 64 characters: shorten it"),
        ((), "Scrapy finds no spider in this project: look at SPIDER_MODULES in its settings"),
    ],
)
def test_names_that_cannot_be(listed, names, sentence):
    assert sentence in refused(listed(*names))


def test_an_override_of_no_spider_names_those_there_are(listed):
    log = refused(listed("news", "books", overrides=("news", "shop")))
    assert log == (
        "spider.toml has [spiders.shop], but no spider is called so: rename or remove it."
        " There are: books, news\n"
    )


def test_an_exception_of_the_project_is_shown_as_it_is(project):
    project.write("shop/spiders/broken.py", "import scrapy\nprice = 1 / 0\n")
    crawl = project.run("-m", "silkmill.sdk.scrapy.listing")
    assert crawl.returncode == 1 and crawl.items == []
    assert "price = 1 / 0" in crawl.log and "ZeroDivisionError: division by zero" in crawl.log


def test_without_scrapy_it_says_where_to_add_it(project, sdk_folder, tmp_path):
    bare = tmp_path / "bare"
    venv.create(bare, symlinks=True, with_pip=False)
    command = [bare / "bin" / "python", "-m", "silkmill.sdk.scrapy.listing"]
    listed = subprocess.run(
        command, cwd=project.folder, env=environment(sdk_folder), capture_output=True, text=True
    )
    assert listed.returncode == 1 and listed.stderr.startswith(
        "this project has a scrapy.cfg, but its environ"
    )
    assert "add scrapy to requirements.txt" in listed.stderr and sys.prefix not in listed.stderr
