"""Schedules as records: by hand, of a file, and what a deploy changes of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from by_the_clock import add, config, fired, look, pass_time, put

from silkmill.domain.errors import BadInput, Duplicate, NotFound, Unavailable
from silkmill.domain.schedule import CatchUp, Origin, Overlap, Schedule
from silkmill.domain.spider import Spider
from silkmill.domain.version import Version
from silkmill.runtime import faults
from support.master_rig import Rig

NIGHTLY = '[[schedules]]\nname = "nightly"\ncron = "30 1 * * *"\n'
WEEKLY = '[[schedules]]\nname = "weekly"\ncron = "@weekly"\n'
FILE = 'name = "news"\ncommand = "/bin/true"\n'


TEXTS = {NIGHTLY: "nightly", WEEKLY: "weekly"}


def versions_by(named: dict[str, str]) -> dict[str, str]:
    return {name: version for version, name in named.items()}


async def all_of(rig: Rig) -> dict[str, Schedule]:
    return {stored.key.removeprefix("default/news/"): stored.value for stored in await rig.schedules.all()}


class TestByHand:
    async def test_it_is_kept_as_it_was_written(self, rig: Rig) -> None:
        made = await add(rig, timezone="Europe/Berlin", overlap="queue", catchup="last", enabled=False)
        assert await rig.schedules.get("default/news/often") == made
        assert (made.origin, made.enabled, made.evaluated_until) == (Origin.HAND, False, rig.clock.now())
        assert (made.config.overlap, made.config.catchup) == (Overlap.QUEUE, CatchUp.LAST)

    @pytest.mark.parametrize("enabled", [True, False])
    async def test_a_put_switches_it_as_it_says(self, rig: Rig, enabled: bool) -> None:
        made = await add(rig, enabled=enabled)
        await rig.schedules.switch(made.key, enabled=not enabled)
        rig.clock.pass_time(60)
        now = await put(rig, enabled=enabled)
        assert (now.enabled, now.evaluated_until) == (enabled, rig.clock.now())
        assert await rig.schedules.get(made.key) == now
        rig.clock.pass_time(60)
        assert await put(rig, enabled=enabled) == now  # nothing to change

    async def test_a_name_is_taken_once_for_each_spider(self, rig: Rig) -> None:
        await rig.deploy_spider('name = "shop"\ncommand = "true"\n')
        await add(rig)
        await rig.schedules.add("default", "shop", config())
        with pytest.raises(Duplicate):
            await add(rig, "@daily")

    async def test_all_are_listed_in_order_over_several_pages(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in (3, 1, 2):
            await add(rig, name=f"s{number}")
        records = rig.store.records
        monkeypatch.setattr(rig.store, "records", lambda kind, **where: records(kind, **where, limit=2))
        assert list(await all_of(rig)) == ["s1", "s2", "s3"]

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"cron": "x"}, "cron"),
            ({"timezone": "Mars"}, "timezone"),
            ({"name": "Not/a/name"}, "name"),
            ({"params": {"day": 1}}, "params.day"),
        ],
    )
    async def test_what_cannot_be_is_refused(self, rig: Rig, wrong: dict[str, object], field: str) -> None:
        for write in (add, put):
            with pytest.raises(BadInput) as refused:
                await write(rig, **wrong)  # type: ignore[arg-type]
            assert refused.value.field == field
        assert await all_of(rig) == {}

    async def test_an_unknown_spider_or_schedule_is_not_found(self, rig: Rig) -> None:
        with pytest.raises(NotFound, match="spider"):
            await rig.schedules.add("default", "nobody", config())
        for call in (rig.schedules.get, rig.schedules.remove):
            with pytest.raises(NotFound, match="schedule"):
                await call("default/news/nothing")
        with pytest.raises(NotFound, match="schedule"):
            await rig.schedules.switch("default/news/nothing", enabled=True)


class TestOfAFile:
    async def test_they_come_and_go_with_the_version(self, rig: Rig) -> None:
        await rig.deploy_spider(FILE + NIGHTLY + WEEKLY)
        assert [one.origin for one in (await all_of(rig)).values()] == [Origin.FILE, Origin.FILE]
        await rig.deploy_spider(FILE + WEEKLY)
        assert list(await all_of(rig)) == ["weekly"]
        await rig.deploy_spider(FILE)
        assert await all_of(rig) == {}

    async def test_those_of_other_spiders_and_those_made_by_hand_stay(self, rig: Rig) -> None:
        for name in ("news2", "new"):
            await rig.deploy_spider(FILE.replace("news", name) + NIGHTLY)
        by_hand = await add(rig)
        await rig.deploy_spider(FILE + NIGHTLY)
        await rig.deploy_spider(FILE)
        left = [stored.key for stored in await rig.schedules.all()]
        assert left == ["default/new/nightly", "default/news/often", "default/news2/nightly"]
        assert await rig.schedules.get(by_hand.key) == by_hand

    async def test_a_redeploy_keeps_the_record_of_an_unchanged_one(self, rig: Rig) -> None:
        text = (
            FILE + '[[schedules]]\nname = "often"\ncron = "* * * * *"\noverlap = "allow"\ncatchup = "all"\n'
        )
        await rig.deploy_spider(text)
        await pass_time(rig, 60)
        rig.clock.pass_time(150)
        before = await rig.schedules.get("default/news/often")
        await rig.deploy_spider(text + "\n[env]\nX = '1'\n")
        assert await rig.schedules.get("default/news/often") == before
        await look(rig)
        assert await fired(rig) == [1, 2, 3]  # nothing is lost and nothing comes twice

    async def test_one_that_was_disabled_stays_so_until_its_text_changes(self, rig: Rig) -> None:
        await rig.deploy_spider(FILE + NIGHTLY)
        await rig.schedules.switch("default/news/nightly", enabled=False)
        await rig.deploy_spider(FILE + NIGHTLY + WEEKLY)
        assert not (await all_of(rig))["nightly"].enabled
        rig.clock.pass_time(60)
        await rig.deploy_spider(FILE + NIGHTLY + 'timezone = "Europe/Berlin"\n')
        changed = (await all_of(rig))["nightly"]
        assert (changed.enabled, changed.evaluated_until) == (True, rig.clock.now())

    async def test_a_rollback_brings_its_schedules_back(self, rig: Rig) -> None:
        older = await rig.deploy_spider(FILE + NIGHTLY)
        await rig.deploy_spider(FILE + WEEKLY)
        stored = await rig.store.record(Version, older)
        assert stored is not None
        await rig.schedules.follow_file("default", stored.value.spiders["news"])
        assert list(await all_of(rig)) == ["nightly"]

    async def test_a_name_that_is_taken_by_hand_refuses_the_deploy(self, rig: Rig) -> None:
        before = (await rig.versions.spider("default", "news")).version
        by_hand = await add(rig, name="nightly")
        with pytest.raises(BadInput, match="by hand") as refused:
            await rig.deploy_spider(FILE + NIGHTLY)
        assert refused.value.field == "schedules"
        assert (await rig.versions.spider("default", "news")).version == before
        assert await all_of(rig) == {"nightly": by_hand}

    async def test_by_hand_it_is_switched_only(self, rig: Rig) -> None:
        await rig.deploy_spider(FILE + NIGHTLY)
        with pytest.raises(BadInput, match=r"spider\.toml"):
            await put(rig, name="nightly")
        with pytest.raises(BadInput, match=r"spider\.toml"):
            await rig.schedules.remove("default/news/nightly")
        assert not (await rig.schedules.switch("default/news/nightly", enabled=False)).enabled

    @pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
    async def test_a_deploy_that_is_cut_anywhere_is_completed_by_its_repeat(
        self, rig: Rig, point: str
    ) -> None:
        await rig.deploy_spider(FILE + NIGHTLY)
        text = FILE + WEEKLY + NIGHTLY.replace("nightly", "daily")
        for number in range(1, 10):
            faults.arm(f"{point}=error@{number}")
            with suppress(Unavailable):
                await rig.deploy_spider(text)
            faults.disarm()
        await rig.deploy_spider(text)
        assert list(await all_of(rig)) == ["daily", "weekly"]

    @pytest.mark.parametrize("restarts", [True, False])
    @pytest.mark.parametrize("how", ["deploy", "rollback"])
    async def test_one_that_nobody_repeats_is_completed_by_cron(
        self, rig: Rig, how: str, restarts: bool
    ) -> None:
        """The schedules are those of the version that the spider points to, wherever it was cut."""
        named = {await rig.deploy_spider(FILE + text): name for text, name in TEXTS.items()}
        await look(rig)
        for text in (WEEKLY, NIGHTLY):
            for point in ("store.before_commit", "store.after_commit"):
                for number in range(1, 8):
                    faults.arm(f"{point}=error@{number}*100")
                    with suppress(Unavailable):
                        if how == "deploy":
                            await rig.deploy_spider(FILE + text)
                        else:
                            await rig.spiders.choose("default", "news", versions_by(named)[TEXTS[text]])
                    faults.disarm()
                    rig = rig.restarted() if restarts else rig
                    await look(rig)
                    pointed = (await rig.versions.spider("default", "news")).version
                    assert list(await all_of(rig)) == [named[pointed]]

    async def test_what_cannot_be_completed_holds_up_no_other_spider(self, rig: Rig) -> None:
        for name in ("a", "b"):
            text = FILE.replace("news", name) + NIGHTLY
            await rig.deploy_spider(text)
            [nightly] = [one for one in await rig.schedules.all() if one.value.spider == name]
            await rig.store.delete_record(nightly)
            stored = await rig.store.record(Spider, f"default/{name}")
            assert stored is not None
            await rig.store.replace_record(stored, replace(stored.value, schedules_follow=False), "cut short")
        by_hand = await rig.schedules.add("default", "a", config(name="nightly"))
        await look(rig.restarted())
        found = {stored.key: stored.value for stored in await rig.schedules.all()}
        assert found["default/a/nightly"] == by_hand
        assert found["default/b/nightly"].origin is Origin.FILE

    async def test_cron_hears_of_a_deploy(self, rig: Rig) -> None:
        await look(rig)
        rig.cron.wake.clear()
        await rig.deploy_spider(FILE + NIGHTLY)
        assert rig.cron.wake.is_set()
