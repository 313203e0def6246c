"""Schedules over HTTP: made, changed, switched, run at once, removed; what a view tells, what is refused."""

from __future__ import annotations

import httpx
import pytest
from tests.http.problems import assert_problem
from tests.support.master_rig import Agent, Rig

from silkmill.client import AsyncClient, Problem

PATH = "/api/v1/schedules"
OFTEN = f"{PATH}/default/news/often"
WRITTEN = {"cron": "*/5 * * * *", "timezone": "Europe/Berlin", "overlap": "queue", "catchup": "last"}
FIELDS = [
    *("project", "spider", "name", "cron", "timezone", "overlap", "catchup", "enabled", "params", "origin"),
    *("evaluated_until", "next_firing", "last_firing", "problem"),
]

pytestmark = pytest.mark.usefixtures("version")


async def test_one_is_made_and_shown(client: AsyncClient) -> None:
    made = await client.add_schedule(WRITTEN | {"spider": "news", "name": "often"})
    assert list(made) == FIELDS
    assert {name: made[name] for name in WRITTEN} == WRITTEN
    assert (made["origin"], made["enabled"], made["last_firing"]) == ("hand", True, None)
    assert made["next_firing"] == "2026-03-01T12:05:00Z"
    assert await client.schedule("default", "news", "often") == made
    assert await client.schedules() == {"schedules": [made], "paused_since": None}


async def test_where_it_was_made_it_is_found(http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, json={"spider": "news", "name": "often", "cron": "@daily"})
    assert (answer.status_code, answer.headers["location"]) == (201, OFTEN)
    assert (await http.get(OFTEN)).json() == answer.json()


async def test_its_firings_are_shown_with_it_and_with_their_tasks(
    rig: Rig, agent: Agent, client: AsyncClient
) -> None:
    await client.put_schedule("default", "news", "often", WRITTEN)
    await rig.cron.tick()
    rig.clock.pass_time(301)
    await rig.cron.tick()
    shown = await client.schedule("default", "news", "often")
    last = shown["last_firing"]
    assert (last["at"], last["state"]) == ("2026-03-01T12:05:00Z", "pending")
    assert shown["next_firing"] == "2026-03-01T12:10:00Z"
    task = await client.task(last["task"])
    assert task["schedule"] == "default/news/often"
    assert task["firing"] == "default/news/often@2026-03-01T12:05:00Z#0"


async def test_while_nobody_fires_the_next_firing_is_one_to_come(rig: Rig, client: AsyncClient) -> None:
    await client.put_schedule("default", "news", "often", WRITTEN)
    rig.clock.pass_time(3600)
    assert (await client.schedule("default", "news", "often"))["next_firing"] == "2026-03-01T13:05:00Z"
    rig.clock.set_wall(-7200)  # what was decided already does not come again
    assert (await client.schedule("default", "news", "often"))["next_firing"] == "2026-03-01T12:05:00Z"


async def test_what_waits_behind_another_firing_says_so(rig: Rig, agent: Agent, client: AsyncClient) -> None:
    await client.put_schedule("default", "news", "often", WRITTEN)
    for _ in range(2):
        await rig.cron.tick()
        rig.clock.pass_time(300)
    await rig.cron.tick()
    found = (await client.tasks())["tasks"]
    waiting, first = found
    assert (waiting["state"], waiting["after"]) == ("created", first["id"])
    why = await client.why(waiting["id"])
    assert why["waits_for"] == "task"
    assert first["id"] in why["text"]


async def test_put_makes_changes_and_leaves(http: httpx.AsyncClient) -> None:
    first = await http.put(OFTEN, json=WRITTEN)
    again = await http.put(OFTEN, json=WRITTEN)
    changed = await http.put(OFTEN, json=WRITTEN | {"cron": "@hourly"})
    assert [answer.status_code for answer in (first, again, changed)] == [201, 200, 200]
    assert first.json() == again.json()
    assert changed.json()["next_firing"] == "2026-03-01T13:00:00Z"


async def test_it_is_switched_off_and_on(client: AsyncClient) -> None:
    await client.put_schedule("default", "news", "often", WRITTEN)
    off = await client.switch_schedule("default", "news", "often", enabled=False)
    assert (off["enabled"], off["next_firing"]) == (False, None)
    on = await client.switch_schedule("default", "news", "often", enabled=True)
    assert (on["enabled"], on["next_firing"]) == (True, "2026-03-01T12:05:00Z")


async def test_run_at_once_is_a_task_outside_of_the_series(
    rig: Rig, agent: Agent, client: AsyncClient
) -> None:
    await client.put_schedule("default", "news", "often", WRITTEN | {"overlap": "skip", "enabled": False})
    tasks = [await client.run_schedule("default", "news", "often") for _ in range(2)]
    assert [task["state"] for task in tasks] == ["pending", "pending"]
    assert [(task["schedule"], task["firing"]) for task in tasks] == [("default/news/often", None)] * 2
    assert (await client.schedule("default", "news", "often"))["last_firing"] is None


async def test_removed_it_is_gone(client: AsyncClient, http: httpx.AsyncClient) -> None:
    await client.put_schedule("default", "news", "often", WRITTEN)
    await client.remove_schedule("default", "news", "often")
    assert_problem(await http.get(OFTEN), 404)
    assert_problem(await http.delete(OFTEN), 404)
    assert_problem(await http.post(f"{OFTEN}/run"), 404)


async def test_those_of_a_file_are_switched_only(rig: Rig, http: httpx.AsyncClient) -> None:
    toml = 'name = "news"\ncommand = "true"\n[[schedules]]\nname = "often"\ncron = "@daily"\n'
    await rig.deploy_spider(toml)
    assert (await http.get(OFTEN)).json()["origin"] == "file"
    for answer in (await http.put(OFTEN, json=WRITTEN), await http.delete(OFTEN)):
        assert "spider.toml" in assert_problem(answer, 422, "name")["detail"]
    assert (await http.post(f"{OFTEN}/disable")).json()["enabled"] is False


async def test_a_name_that_is_taken_is_refused_and_what_can_be_done_is_said(
    rig: Rig, client: AsyncClient
) -> None:
    await rig.deploy_spider(
        'name = "news"\ncommand = "true"\n[[schedules]]\nname = "daily"\ncron = "@daily"\n'
    )
    await client.add_schedule(WRITTEN | {"spider": "news", "name": "often"})
    for name, remedy in (("often", "change it by PUT, or remove it"), ("daily", r"in its spider\.toml")):
        with pytest.raises(Problem, match=remedy) as refused:
            await client.add_schedule(WRITTEN | {"spider": "news", "name": name})
        assert (refused.value.status, refused.value.field) == (409, "name")


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"cron": "x"}, 422, "cron"),
        ({"cron": 5}, 422, "cron"),
        ({"timezone": "Nowhere"}, 422, "timezone"),
        ({"overlap": "kill"}, 422, "overlap"),
        ({"catchup": "some"}, 422, "catchup"),
        ({"enabled": 1}, 422, "enabled"),
        ({"params": {"day": 1}}, 422, "params.day"),
        ({"name": "A B"}, 422, "name"),
        ({"spider": "nobody"}, 404, "spider"),
        ({"corn": "x"}, 422, "corn"),
    ],
)
async def test_a_wrong_value_is_a_problem_with_its_field(
    http: httpx.AsyncClient, wrong: dict[str, object], status: int, field: str
) -> None:
    given = {"spider": "news", "name": "often", "cron": "@daily"} | wrong
    problem = assert_problem(await http.post(PATH, json=given), status, field)
    assert problem["remedy"]


async def test_what_is_missing_is_a_problem(http: httpx.AsyncClient) -> None:
    for name in ("spider", "name", "cron"):
        given = {"spider": "news", "name": "often", "cron": "@daily"}
        del given[name]
        assert_problem(await http.post(PATH, json=given), 422, name)


async def test_a_pause_of_cron_is_read_in_the_list(rig: Rig, client: AsyncClient) -> None:
    await rig.cron.tick()
    rig.clock.set_wall(3600)
    await rig.cron.tick()
    assert (await client.schedules())["paused_since"] == "2026-03-01T12:00:00Z"


async def test_a_time_zone_that_is_not_known_any_more_is_told(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.put_schedule("default", "news", "often", WRITTEN)
    monkeypatch.setattr("zoneinfo.ZoneInfo", lambda name: (_ for _ in ()).throw(ValueError(name)))
    shown = await client.schedule("default", "news", "often")
    assert shown["next_firing"] is None
    assert "Europe/Berlin" in shown["problem"]
