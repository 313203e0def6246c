"""The STATUS of a crawl stays small, and a verdict is drawn from numbers alone."""

import pytest

from silkmill.sdk.scrapy.tally import Tally
from silkmill.sdk.scrapy.verdict import verdict
from silkmill.sdk.values import encode


def tally(**numbers: object) -> Tally:
    made = Tally()
    for name, value in numbers.items():
        counts = getattr(made, name)
        counts.update(value) if hasattr(counts, "update") else setattr(made, name, value)
    return made


def test_a_summary_is_below_16_kib_whatever_happened():
    many = {"日" * 50 + str(number) * 40: number + 1 for number in range(5000)}
    statuses = {str(number): 1 for number in range(1000)}
    made = tally(exceptions=many, failures=many, responses=statuses, finish_reasons=["日" * 999])
    summary = made.summary()
    assert len(encode(summary)) < 16 * 1024
    assert sum(summary["exceptions"].values()) == 2 * sum(many.values())
    assert summary["responses"]["other"] == 960 and len(summary["responses"]) == 41


KEY_ERROR = {"KeyError": 3}
REFUSED = {"ConnectError": 2}


@pytest.mark.parametrize(
    "numbers, error_class",
    [
        ({}, None),
        ({"failures": REFUSED, "network_failures": 2}, "network"),
        ({"failures": REFUSED, "network_failures": 2, "scraped": 1}, "network"),
        ({"failures": {**REFUSED, **KEY_ERROR}, "network_failures": 2}, "network"),
        ({"failures": KEY_ERROR}, "KeyError"),
        ({"failures": REFUSED, "network_failures": 2, "pages": 1}, None),
        ({"failures": REFUSED, "network_failures": 2, "stopped": True}, None),
        ({"failures": REFUSED, "network_failures": 2, "pages": 1, "exceptions": KEY_ERROR}, "KeyError"),
        ({"pages": 3, "opened": 1, "exceptions": KEY_ERROR}, "KeyError"),
        ({"pages": 3, "opened": 1, "exceptions": KEY_ERROR, "scraped": 1}, None),
        ({"pages": 3, "opened": 1, "exceptions": KEY_ERROR, "scraped": 1, "unsaved": 1}, "KeyError"),
        ({"pages": 3, "opened": 1, "exceptions": KEY_ERROR, "counts_items": False}, None),
        ({"exceptions": KEY_ERROR}, "KeyError"),
    ],
)
def test_verdicts(numbers, error_class):
    judged = verdict(tally(**numbers), items_saved=0)
    assert (judged and judged.error_class) == error_class


def test_items_that_the_spider_saved_by_itself_count():
    assert verdict(tally(pages=3, opened=1, exceptions=KEY_ERROR), items_saved=1) is None


def test_messages_name_count_and_reason():
    messages = {"KeyError": "'price'", "ConnectError": "refused"}
    made = tally(failures={**REFUSED, "Timeout": 1}, network_failures=3, first_messages=messages)
    assert verdict(made, 0).message == "all 3 requests failed, most with ConnectError: refused"
    made = tally(failures={"ConnectError": 1}, network_failures=1, first_messages=messages)
    assert verdict(made, 0).message == "the only request failed with ConnectError: refused"
    made = tally(exceptions=KEY_ERROR, opened=1, first_messages=messages)
    assert verdict(made, 0).message == "3 exceptions and no item saved: 'price'"
