"""Scrapy projects: a task finds the spiders of a version, whatever happens between."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress

import pytest

from silkmill.domain.errors import BadInput, NotFound, Unavailable
from silkmill.domain.scrapy import LISTER
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.domain.version import FileEntry, Listing
from silkmill.master.deploy import Deployed
from silkmill.master.feed import Resync
from silkmill.master.submission import Submission
from silkmill.ports.store import TaskFilter
from silkmill.runtime import faults
from support.master_rig import Agent, Rig, repeated

FOLDER = {"scrapy.cfg": "[settings]\ndefault = p.settings\n", "p/settings.py": ""}
SHOP_AND_BLOG = {"shop": "Shop", "blog": "blog"}


async def deployed(rig: Rig, spider: str | None = None, **files: str) -> Deployed:
    return await rig.deploy.create_version(
        None, [await _put(rig, *file) for file in (FOLDER | files).items()], spider
    )


async def _put(rig: Rig, path: str, text: str) -> FileEntry:
    data = text.encode()
    sha = hashlib.sha256(data).hexdigest()
    await rig.uploads.put_blob(sha, data)
    return FileEntry(path, sha, len(data))


async def begun(rig: Rig, **files: str) -> tuple[Agent, Deployed]:
    agent = Agent(rig)
    await agent.register()
    return agent, await deployed(rig, **files)


async def lists(agent: Agent, found: dict[str, str] | list[bytes], **facts: object) -> Task:
    """The next task is the lister; it saves what it found and ends."""
    ref = await agent.started()
    items = (
        found
        if isinstance(found, list)
        else [json.dumps({"name": name, "crawl": crawl}).encode() for name, crawl in found.items()]
    )
    await agent.items(ref, items)
    size = sum(len(item) + 1 for item in items)
    await agent.finish(ref, items_size=size, items_count=len(items), **facts)
    return await agent.rig.task(ref.task_id)


async def pointed(rig: Rig) -> dict[str, str]:
    """But for the spider that every rig has."""
    return {spider.name: spider.version for spider in await rig.spiders.every() if spider.name != "news"}


async def test_the_same_request_answers_with_the_spiders_once_they_are_found(rig: Rig) -> None:
    agent, first = await begun(rig)
    assert first.version.spiders == {}
    assert await pointed(rig) == {}
    task = await lists(agent, SHOP_AND_BLOG)
    assert (task.id, task.spider, task.state) == (first.listing, LISTER, State.FINISHED)
    again = await deployed(rig)
    assert again.listing is None
    assert again.version.spiders["shop"].command == ("scrapy", "crawl", "Shop")
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)
    assert await rig.store.record(Listing, first.version.id) is None


async def test_nobody_need_ask_again(rig: Rig) -> None:
    agent, first = await begun(rig)
    assert not rig.listings.wake.is_set()
    await lists(agent, SHOP_AND_BLOG)
    assert rig.listings.wake.is_set()
    await rig.deploy.tick()
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)
    assert await rig.listings.changed() == []


async def test_the_next_engine_takes_over_what_was_found(rig: Rig) -> None:
    agent, first = await begun(rig)
    await lists(agent, SHOP_AND_BLOG)
    next_rig = rig.restarted()
    await next_rig.deploy.tick()
    assert await pointed(next_rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)


async def test_a_repeat_meanwhile_waits_for_the_same_task(rig: Rig) -> None:
    agent, first = await begun(rig)
    assert await deployed(rig) == first
    await agent.started()
    assert await deployed(rig) == first


async def test_a_listed_version_is_not_listed_again(rig: Rig) -> None:
    agent, first = await begun(rig)
    await lists(agent, SHOP_AND_BLOG)
    assert (await deployed(rig)).listing is None
    assert (await deployed(rig.restarted())).listing is None
    other = await deployed(rig, **{"p/spiders.py": "new"})
    assert other.listing not in (None, first.listing)
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)  # until it is listed


async def test_after_a_failure_another_task_tries(rig: Rig) -> None:
    agent, first = await begun(rig)
    failed = await lists(agent, [], exit_code=1)
    assert failed.state is State.ERROR
    second = await deployed(rig)
    assert second.listing not in (None, first.listing)


async def test_a_retry_by_hand_counts_too(rig: Rig) -> None:
    agent, first = await begun(rig)
    failed = await lists(agent, [], exit_code=1)
    repeat = Submission(failed.project, LISTER, version=failed.version, retry_of=failed.id)
    await rig.intake.submit(repeat)
    await lists(agent, SHOP_AND_BLOG)
    await rig.deploy.tick()
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)


@pytest.mark.parametrize(
    "item", [b'{"name":"news"}', b'{"url":"x"}', b'{"name":"News!","crawl":"x"}', b'{"name":1,"crawl":"x"}']
)
async def test_other_items_are_refused_and_said_to_who_asks(rig: Rig, item: bytes) -> None:
    agent, _ = await begun(rig)
    await lists(agent, [item])
    await rig.deploy.tick()  # nobody to say it to but the log
    assert await pointed(rig) == {}
    with pytest.raises(BadInput):
        await deployed(rig)


async def test_spider_toml_says_more_about_them(rig: Rig) -> None:
    toml = "priority = 2\n[spiders.shop]\nmax_concurrency = 1\n"
    agent, _ = await begun(rig, **{"spider.toml": toml})
    order = await agent.accepted()
    assert order.argv == ("python", "-m", "silkmill.sdk.scrapy.listing", "shop")
    await rig.link.start(agent.session, order.ref, 1, rig.clock.now())
    record = b'{"name":"shop","crawl":"shop"}'
    await agent.items(order.ref, [record])
    await agent.finish(order.ref, items_size=len(record) + 1, items_count=1)
    config = (await deployed(rig, **{"spider.toml": toml})).version.spiders["shop"]
    assert (config.priority, config.max_concurrency) == (2, 1)


async def test_a_named_spider_must_be_among_them(rig: Rig) -> None:
    agent, _ = await begun(rig)
    await lists(agent, {"shop": "shop"})
    with pytest.raises(BadInput, match="names 'shop'"):
        await deployed(rig, spider="blog")


async def test_many_spiders_are_read_page_by_page(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silkmill.master.listings.ITEMS_PER_READ", 7)
    many = {f"s{number:02}": f"S{number:02}" for number in range(23)}
    agent, _ = await begun(rig)
    await lists(agent, many)
    assert (await deployed(rig)).version.spiders.keys() == many.keys()


async def test_a_spider_of_that_name_elsewhere_is_just_a_spider(rig: Rig) -> None:
    agent = Agent(rig)
    await agent.register()
    version = await rig.deploy_spider(f'name = "{LISTER}"\ncommand = "/bin/true"\n')
    await agent.running(spider=LISTER)
    await rig.deploy.tick()
    assert await pointed(rig) == {LISTER: version}


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
@pytest.mark.parametrize("hit", range(1, 9))
async def test_cut_anywhere_a_repeat_makes_it(rig: Rig, point: str, hit: int) -> None:
    agent, _ = await begun(rig)
    await lists(agent, SHOP_AND_BLOG)
    faults.arm(f"{point}=error@{hit}*1")
    version = (await repeated(lambda: deployed(rig))).version
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, version.id)
    assert {spider.schedules_follow for spider in await rig.spiders.every()} == {True}


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
@pytest.mark.parametrize("hit", range(1, 9))
async def test_cut_anywhere_the_engine_makes_it(rig: Rig, point: str, hit: int) -> None:
    agent, first = await begun(rig)
    await lists(agent, SHOP_AND_BLOG)
    faults.arm(f"{point}=error@{hit}*1")
    with suppress(Unavailable):
        await rig.deploy.tick()
    await rig.restarted().deploy.tick()
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)
    assert await rig.store.record(Listing, first.version.id) is None


async def test_what_was_deployed_later_is_not_taken_back(rig: Rig) -> None:
    agent, _ = await begun(rig)
    failed = await lists(agent, [], exit_code=1)
    rig.clock.pass_time(10)
    await deployed(rig, **{"p/spiders.py": "new"})
    await lists(agent, SHOP_AND_BLOG)
    newer = (await deployed(rig, **{"p/spiders.py": "new"})).version.id
    await rig.intake.submit(Submission(failed.project, LISTER, version=failed.version, retry_of=failed.id))
    await lists(agent, SHOP_AND_BLOG)
    await rig.deploy.tick()
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, newer)


async def test_what_was_chosen_meanwhile_stays_and_the_rest_is_listed(rig: Rig) -> None:
    agent, first = await begun(rig)
    await lists(agent, SHOP_AND_BLOG)
    await deployed(rig)
    rig.clock.pass_time(10)
    second = await deployed(rig, **{"p/spiders.py": "new"})
    rig.clock.pass_time(10)
    await rig.spiders.choose("default", "shop", first.version.id)
    await lists(agent, SHOP_AND_BLOG)
    await rig.deploy.tick()
    listed = await rig.spiders.versions_of("default", "shop")
    assert {one.version for one in listed} == {first.version.id, second.version.id}
    assert await pointed(rig) == {"shop": first.version.id, "blog": second.version.id}


async def test_a_repeated_listing_is_found_after_a_crash(rig: Rig) -> None:
    agent, first = await begun(rig)
    failed = await lists(agent, [], exit_code=1)
    again = Submission(failed.project, LISTER, version=failed.version, retry_of=failed.id)
    repeat = await rig.intake.submit(again)
    await rig.deploy.tick()
    assert (await deployed(rig)).listing == repeat.id  # who asks meanwhile waits for the same
    await lists(agent, SHOP_AND_BLOG)
    await rig.restarted().deploy.tick()
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)


async def test_what_is_refused_is_tried_once_until_somebody_asks(rig: Rig) -> None:
    agent, _ = await begun(rig)
    await lists(agent, [b'{"url":"x"}'])
    await rig.deploy.tick()
    assert await rig.restarted().listings.changed() == []
    with pytest.raises(BadInput):
        await deployed(rig)


async def test_an_end_that_nobody_heard_of_is_looked_for(rig: Rig) -> None:
    agent, first = await begun(rig)
    next_rig = rig.restarted()
    await next_rig.deploy.tick()
    await lists(agent, SHOP_AND_BLOG)  # told to the other one
    await next_rig.deploy.tick()
    assert await pointed(rig) == {}
    next_rig.feed.publish(Resync())
    assert next_rig.listings.wake.is_set()
    await next_rig.deploy.tick()
    assert await pointed(rig) == dict.fromkeys(SHOP_AND_BLOG, first.version.id)


async def test_two_deploys_at_once_share_a_task(rig: Rig) -> None:
    await Agent(rig).register()
    faults.arm("store.before_commit=pause:0.01*100")
    one, other = await asyncio.gather(deployed(rig), deployed(rig))
    assert one.listing == other.listing
    assert len(await rig.store.tasks(TaskFilter(spider=LISTER), limit=10)) == 1


async def test_a_listing_that_saves_nothing_has_failed(rig: Rig) -> None:
    agent, _ = await begun(rig)
    assert (await lists(agent, [])).state is State.ERROR


async def test_another_master_learns_of_the_spiders(rig: Rig) -> None:
    agent, first = await begun(rig)
    other = rig.restarted()
    with pytest.raises(NotFound):
        await other.versions.config("default", "shop", first.version.id)
    await lists(agent, SHOP_AND_BLOG)
    await rig.deploy.tick()
    assert (await other.versions.config("default", "shop", first.version.id)).name == "shop"
