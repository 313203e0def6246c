"""Versions of a spider: listed without reading others, and chosen."""

from __future__ import annotations

import asyncio

import pytest

from silkmill.domain.errors import NotFound
from silkmill.domain.schedule import Schedule
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.version import Version
from silkmill.master.feed import LimitsChanged
from support.master_rig import SPIDER_TOML, Rig


async def deployed(rig: Rig, name: str, priority: int) -> str:
    rig.clock.pass_time(60)
    return await rig.deploy_spider(f"name = '{name}'\ncommand = 'true'\npriority = {priority}\n")


async def test_versions_are_listed_newest_first_with_their_size(rig: Rig) -> None:
    made = [await deployed(rig, "shop", priority) for priority in (1, 2, 3)]
    listed = await rig.spiders.versions_of("default", "shop")
    assert [each.version for each in listed] == list(reversed(made))
    stored = await rig.store.record(Version, made[-1])
    assert stored is not None
    version = stored.value
    assert (listed[0].files, listed[0].bytes) == (1, version.files[0].size)
    assert listed[0].created_at == version.created_at


async def test_only_records_of_the_spider_are_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that begin alike, many versions, and pages that end anywhere."""
    for name in ("sho", "shop", "shop-a", "shop.b", "shops"):
        for priority in (1, 2, 3):
            await deployed(rig, name, priority)
    records, read = rig.store.records, []

    async def paged(kind: type, *, after: str = "", limit: int = 2) -> list:  # type: ignore[type-arg]
        page = await records(kind, after=after, limit=limit)
        read.extend(page)
        return page

    monkeypatch.setattr(rig.store, "records", paged)
    listed = await rig.spiders.versions_of("default", "shop")
    assert [each.spider for each in listed] == ["shop"] * 3
    assert len(read) <= 3 + 2
    assert await rig.spiders.versions_of("default", "none") == []


async def test_deploying_again_lists_a_version_once(rig: Rig) -> None:
    made = [await deployed(rig, "shop", priority) for priority in (1, 2, 1)]
    assert made[0] == made[2]
    assert [each.version for each in await rig.spiders.versions_of("default", "shop")] == [made[1], made[0]]


async def test_new_tasks_get_the_chosen_version(rig: Rig) -> None:
    old = await rig.deploy_spider()
    new = await rig.deploy_spider(SPIDER_TOML + "priority = 1\n")
    before = await rig.submit()
    assert await rig.spiders.choose("default", "news", old) == await rig.versions.spider("default", "news")
    after = await rig.submit()
    assert (before.version, after.version) == (new, old)
    assert (await rig.task(before.id)).version == new


async def test_the_limits_of_the_chosen_version_hold_at_once(rig: Rig) -> None:
    old = await rig.deploy_spider()
    await rig.deploy_spider(SPIDER_TOML + "max_concurrency = 1\n")
    told: list[object] = []
    rig.feed.watch(told.append)
    await rig.spiders.choose("default", "news", old)
    assert told == [LimitsChanged()]


async def test_what_cannot_be_chosen(rig: Rig) -> None:
    other = await deployed(rig, "other", 1)
    for project, name, version in (
        ("default", "news", other),
        ("default", "news", "v0"),
        ("default", "none", other),
        ("none", "news", other),
    ):
        with pytest.raises(NotFound):
            await rig.spiders.choose(project, name, version)
    assert (await rig.versions.spider("default", "news")).version != other


async def test_the_schedules_of_the_chosen_version_come_back(rig: Rig) -> None:
    schedule = '[[schedules]]\nname = "%s"\ncron = "@daily"\n'
    old = await rig.deploy_spider(SPIDER_TOML + schedule % "old")
    await rig.deploy_spider(SPIDER_TOML + schedule % "new")
    assert await names_of_schedules(rig) == ["new"]
    await rig.spiders.choose("default", "news", old)
    assert await names_of_schedules(rig) == ["old"]


async def names_of_schedules(rig: Rig) -> list[str]:
    return [stored.value.config.name for stored in await rig.store.records(Schedule)]


async def test_two_choices_at_once_leave_a_spider_with_the_schedules_of_its_version(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = '[[schedules]]\nname = "%s"\ncron = "@daily"\n'
    named = {await rig.deploy_spider(SPIDER_TOML + schedule % name): name for name in ("a", "b")}
    follow, slow = rig.schedules.follow_file, iter([0.05])

    async def follow_file(project: str, spider: SpiderConfig) -> None:
        await asyncio.sleep(next(slow, 0))  # the first one is overtaken, if it can be
        await follow(project, spider)

    monkeypatch.setattr(rig.schedules, "follow_file", follow_file)
    await asyncio.gather(*(rig.spiders.choose("default", "news", version) for version in named))
    chosen = (await rig.versions.spider("default", "news")).version
    assert await names_of_schedules(rig) == [named[chosen]]
