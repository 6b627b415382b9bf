"""Recovery keeps the newest row."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import NOW, Subject, after, fix, order

from streams.core.rows import dump
from streams.tables import ForeignStoreError, claim, is_damage, is_old, newest, stamp


def event(key: bytes, value: bytes | None) -> Any:
    return SimpleNamespace(message=SimpleNamespace(key=key, value=value))


def rows() -> tuple[bytes, bytes]:
    """A row, and the same after one more event."""
    subject = Subject(order())
    subject.feed(fix(NOW))
    older = dump(subject.state)
    subject.feed(fix(after(60)))
    return older, dump(subject.state)


def test_the_stamp_is_the_rows_own() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    assert subject.state.now is not None
    assert stamp(dump(subject.state)) == (subject.state.now.timestamp(), subject.state.applied)


def test_a_stale_row_that_comes_late_is_passed_over() -> None:
    older, newer = rows()
    late = [event(b"S1", newer), event(b"S1", older), event(b"S2", older)]
    assert list(newest(late, {}.get)) == [late[0], late[2]]
    assert list(newest(late[1:], {b"S1": newer}.get)) == [late[2]], "nor over what the local store has"


@pytest.mark.parametrize(
    ("error", "damage"),
    [
        (Exception("Corruption: CURRENT file does not end with newline"), True),
        (Exception("IO error: No such file or directory: While opening a file: MANIFEST-000005"), True),
        (Exception("IO error: lock hold by current process: LOCK: No locks available"), False),
        (FileNotFoundError(2, "No such file or directory", "policy.toml"), False),
        (ValueError("Corruption: of something else"), False),
    ],
)
def test_only_what_the_store_says_of_its_own_files_is_damage(error: Exception, damage: bool) -> None:
    assert is_damage(error) == damage


DAY_S = 86_400


@pytest.mark.parametrize(("days", "old"), [(5.9, False), (6.1, True)])
def test_a_store_that_may_have_missed_null_values_is_old(tmp_path: Path, days: float, old: bool) -> None:
    os.utime(tmp_path, (0.0, 0.0))
    mark = tmp_path / "CAUGHT_UP"
    mark.touch()
    assert is_old(tmp_path, mark.stat().st_mtime + days * DAY_S) == old


def test_a_store_without_a_mark_is_as_old_as_its_files(tmp_path: Path) -> None:
    os.utime(tmp_path, (0.0, 7.0 * DAY_S))
    assert not is_old(tmp_path, 12.0 * DAY_S)
    assert is_old(tmp_path, 14.0 * DAY_S)
    assert not is_old(tmp_path / "none", 14.0 * DAY_S)


def test_newer_rows_repeats_and_deletions_are_taken() -> None:
    older, newer = rows()
    all_of = [event(b"S1", older), event(b"S1", newer), event(b"S1", newer), event(b"S1", None)]
    assert list(newest(all_of, {b"S1": older}.get)) == all_of


def test_a_local_store_is_one_pipelines(tmp_path: Path) -> None:
    claim(tmp_path / "new", "cluster-1 spo-")
    claim(tmp_path / "new", "cluster-1 spo-")
    for other in ("cluster-2 spo-", "cluster-1 test-"):
        with pytest.raises(ForeignStoreError, match="another cluster or topic prefix"):
            claim(tmp_path / "new", other)
    assert [file.read_text() for file in (tmp_path / "new").iterdir()] == ["cluster-1 spo-"]
