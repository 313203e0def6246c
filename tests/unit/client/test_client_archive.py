"""Archives: what a good one becomes, and that of a hostile one nothing is left, anywhere."""

from __future__ import annotations

import errno
import gzip
import io
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.faults.archives.names import ESCAPED, TOML
from tests.faults.archives.tars import END, hostile_tars, member, padded, pax, tar_gz
from tests.faults.archives.zips import changed, hostile_zips, zip_of

from silkmill.client.archive import BadArchive, is_archive, unpacked
from silkmill.client.folder import manifest

MEMBERS = 100_000
CPU_SECONDS = 2.0
HOSTILE = hostile_tars(MEMBERS) | hostile_zips(MEMBERS)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Temporary folders are made in it, five levels deep; nothing may be left there or on the way."""
    place = tmp_path / "1" / "2" / "3" / "4" / "5"
    place.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    yield place
    assert not [path for path in (tmp_path / "1").rglob("*") if not place.is_relative_to(path)]
    assert not Path("/tmp", ESCAPED).exists()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def contents(archive: Path) -> dict[str, bytes]:
    with unpacked(archive) as folder:
        return {file.path: file.source.read_bytes() for file in manifest(folder)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_leaves_nothing_and_soon(
    name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silkmill.client.archive.unpack._write", None)  # it does not come to that
    archive = written(tmp_path / name, HOSTILE[name]())
    began = time.process_time()
    with pytest.raises(BadArchive, match="is not deployed: ") as refused, unpacked(archive):
        pass
    assert time.process_time() - began < CPU_SECONDS
    assert len(str(refused.value)) < 500
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("encrypted.zip", "'a' is encrypted; pack it without a password"),
        ("link.zip", "'bad' is a link or a device"),
        ("many-members.zip", "list of members is too long; deploy the unpacked folder"),
        ("slip.zip", f"'../{ESCAPED}' leads out of its folder"),
        ("50-mib.zip", "unpacks to more than 8388608 bytes"),
        (
            "no-spider-toml.zip",
            "no spider.toml and no scrapy.cfg, neither at its top nor in the only folder there",
        ),
        ("negative-size.tar.gz", "'a' has a negative size"),
        ("many-members.tar.gz", "more than 10000 members; deploy the unpacked folder"),
        ("twins.tar.gz", "'Main.py' differs from 'main.py' in case"),
        ("long-path.tar.gz", "…"),
    ],
)
def test_what_is_wrong_is_said(name: str, said: str, place: Path, tmp_path: Path) -> None:
    archive = written(tmp_path / name, HOSTILE[name]())
    with pytest.raises(BadArchive) as refused, unpacked(archive):
        pass
    assert str(refused.value).startswith(f"{archive} is not deployed: ")
    assert said in str(refused.value)


def packed_tar(files: dict[str, bytes], top: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(top + path)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def packed_zip(files: dict[str, bytes], top: str = "") -> bytes:
    return zip_of(*((top + path, data) for path, data in files.items()), toml=False)


FILES = {
    "spider.toml": TOML,
    "main.py": b"print()\n",
    "lib/" + "n" * 120 + "/a.py": b"",
    "straße": b"\0" * 999,
}
PACK = {".tar.gz": packed_tar, ".tgz": packed_tar, ".zip": packed_zip, ".whl": packed_zip, ".egg": packed_zip}


@pytest.mark.parametrize("top", ["", "shop-1.0/"])
@pytest.mark.parametrize("suffix", PACK)
def test_a_good_archive_is_its_folder(place: Path, tmp_path: Path, suffix: str, top: str) -> None:
    archive = written(tmp_path / f"Shop{suffix.upper()}", PACK[suffix](FILES, top))
    assert is_archive(archive)
    assert contents(archive) == FILES


@pytest.mark.parametrize("top", ["", "shop-1.0/"])
@pytest.mark.parametrize("suffix", [".zip", ".tgz"])
def test_what_macos_puts_in_is_left_out(place: Path, tmp_path: Path, suffix: str, top: str) -> None:
    """Finder's zip has a second folder at its top, and its tar a file of attributes beside each other one."""
    litter = {
        "__MACOSX/._shop-1.0": b"attributes",
        f"__MACOSX/{top}lib/._a.py": b"attributes",
        f"{top}lib/._a.py": b"attributes",
        "._shop-1.0": b"attributes",
        f"{top}.DS_Store": b"\0",
    }
    files = {top + path: data for path, data in FILES.items()}
    archive = written(tmp_path / f"x{suffix}", PACK[suffix](litter | files | {f"{top}._main.py": b"x" * 700}))
    assert contents(archive) == FILES


def test_what_macos_puts_in_is_no_way_around_the_rules(place: Path, tmp_path: Path) -> None:
    archive = written(tmp_path / "x.zip", packed_zip(FILES | {"__MACOSX/../../._x": b""}))
    with pytest.raises(BadArchive, match="leads out of its folder"), unpacked(archive):
        pass


def test_a_tar_with_long_attributes(place: Path, tmp_path: Path) -> None:
    """As those of files that were downloaded; a record's length may have six digits and more."""
    attributes = pax({"SCHILY.xattr.a": "x" * 99_999, "SCHILY.xattr.b": "x" * 1_500_000})
    archive = written(tmp_path / "x.tgz", tar_gz(attributes, member("a")))
    assert contents(archive) == {"a": b"x", "spider.toml": TOML}


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tars_of_any_tool(place: Path, tmp_path: Path, format: int) -> None:
    """A folder as `tar czf x.tgz .` packs it, in each of the formats."""
    folder = tmp_path / "folder"
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    with tarfile.open(tmp_path / "x.tgz", "w:gz", format=format) as archive:
        archive.add(folder, ".")
    assert contents(tmp_path / "x.tgz") == FILES


def test_a_comment_for_all_members_is_passed_over(place: Path, tmp_path: Path) -> None:
    archive = written(tmp_path / "x.tgz", tar_gz(pax({"comment": "a commit"}, tarfile.XGLTYPE), member("a")))
    assert contents(archive) == {"a": b"x", "spider.toml": TOML}


def test_an_end_may_be_missing_or_padded(place: Path, tmp_path: Path) -> None:
    for end in (b"", END, END + bytes(10_240)):
        archive = written(tmp_path / "x.tgz", tar_gz(member("a"), end=end))
        assert contents(archive)["a"] == b"x"


def test_modes_are_permission_bits_and_readable(place: Path, tmp_path: Path) -> None:
    modes = {
        "plain": (0o100000, 0o400),
        "run": (0o104755, 0o755),
        "none": (0, 0o644),
        "hidden": (0o100007, 0o407),
    }
    for name, (mode, kept) in modes.items():
        data = changed(zip_of((name, b"")), b"PK\1\2", 38, "<I", mode << 16)
        with unpacked(written(tmp_path / "x.zip", data)) as folder:
            assert (folder / name).stat().st_mode & 0o7777 == kept


def test_the_rules_of_folders_hold(place: Path, tmp_path: Path) -> None:
    files = FILES | {".gitignore": b"*.csv\n", "data.csv": b"1", "__pycache__/x.pyc": b"", ".git/HEAD": b"x"}
    archive = written(tmp_path / "x.zip", packed_zip(files))
    assert contents(archive).keys() == {*FILES, ".gitignore"}


def test_the_folder_is_private_and_gone_afterwards(place: Path, tmp_path: Path) -> None:
    with unpacked(written(tmp_path / "x.zip", packed_zip(FILES, "top/"))) as folder:
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []


def test_a_full_disk_is_no_fault_of_the_archive(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(target: Path, member: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    archive = written(tmp_path / "x.zip", packed_zip(FILES))
    with monkeypatch.context() as patch:
        patch.setattr("silkmill.client.archive.unpack._write", full)
        with pytest.raises(OSError, match="No space left"), unpacked(archive):
            pass


MARKS = st.sampled_from([b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\0" * 8, b"9" * 12, b"../", b"/", b"\xff" * 4])


@st.composite
def damaged(draw: st.DrawFn, make: Callable[[], bytes]) -> bytes:
    """A good archive with some of its bytes written over, cut out or put in twice."""
    data = bytearray(make())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(0, 40))
        data[at : at + length] = draw(
            st.one_of(st.binary(max_size=40), MARKS, st.just(bytes(data[at : at + 80])))
        )
    return bytes(data)


def small_tar() -> bytes:
    """Not packed: damage shall meet headers, not the check sum of gzip."""
    return gzip.decompress(
        tar_gz(member("lib/a.py", b"x" * 700), member("b" * 120), pax({"size": "3"}), padded(b""))
    )


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever an archive has become: it is refused, or it gives plain files inside the folder."""
    suffix, make = data.draw(
        st.sampled_from([(".zip", lambda: zip_of(("a/b.py", b"x" * 50))), (".tgz", small_tar)])
    )
    bad = data.draw(damaged(make))
    place = tmp_path_factory.mktemp("damaged")
    archive = written(place / f"x{suffix}", gzip.compress(bad, 0) if suffix == ".tgz" else bad)
    began = time.process_time()
    try:
        with unpacked(archive) as folder:
            assert all(path.is_dir() or path.is_file() for path in folder.rglob("*"))
            assert not any(path.is_symlink() for path in folder.rglob("*"))
            manifest(folder)
    except BadArchive:
        pass
    assert time.process_time() - began < CPU_SECONDS
    assert list(place.iterdir()) == [archive]
    assert not Path("/tmp", ESCAPED).exists()
