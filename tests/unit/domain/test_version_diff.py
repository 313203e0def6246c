"""What differs between two versions."""

from __future__ import annotations

from dataclasses import replace

from helpers import START
from silkmill.domain.spider import Limits, Param, SpiderConfig
from silkmill.domain.version import FileEntry, Version
from silkmill.domain.version_diff import ChangedFile, ChangedSetting, diff

A, B, C = (FileEntry(path, path * 64, 1) for path in "abc")
NEWS = SpiderConfig("news", command=("true",), params={"day": Param(default="today")}, env={"A": "1"})


def version(*files: FileEntry, **spiders: SpiderConfig) -> Version:
    return Version(f"v{len(files)}", "default", files, spiders, START)


def test_equal_versions_differ_in_nothing() -> None:
    found = diff(version(A, B, news=NEWS), version(B, A, news=NEWS))
    assert (found.added, found.removed, found.changed, found.settings) == ((), (), (), ())


def test_files_are_added_removed_and_changed_by_path() -> None:
    other, runs = replace(B, sha256="f" * 64, size=9), replace(C, mode=0o755)
    found = diff(version(A, B, C), version(runs, other, FileEntry("d", "0", 1)))
    assert (found.old, found.new) == ("v3", "v3")
    assert [file.path for file in found.added] == ["d"]
    assert found.removed == (A,)
    assert found.changed == (ChangedFile("b", B, other), ChangedFile("c", C, runs))


def test_spiders_come_and_go() -> None:
    found = diff(version(news=NEWS, olds=NEWS), version(news=NEWS, b=NEWS, a=NEWS))
    assert (found.added_spiders, found.removed_spiders, found.settings) == (("a", "b"), ("olds",), ())


def test_settings_of_a_spider_by_their_dotted_names() -> None:
    changed = replace(
        NEWS,
        command=("false",),
        params={"day": Param(default="today", required=True)},
        env={"B": "2"},
        limits=Limits(items=5),
    )
    assert diff(version(news=NEWS), version(news=changed)).settings == (
        ChangedSetting("news", "command", ("true",), ("false",)),
        ChangedSetting("news", "env.A", "1", None),
        ChangedSetting("news", "env.B", None, "2"),
        ChangedSetting("news", "limits.items", 0, 5),
        ChangedSetting("news", "params.day.required", False, True),
    )
