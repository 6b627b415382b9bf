"""What doctor says of the machine that it runs on."""

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from streams.doctor import machine
from streams.doctor.machine import GIB, MIB, Place

GOOD = Place(Path("/data"), True, 50 * GIB, "ext4", False, "breachwatch")


def test_a_process_of_the_defaults_has_what_it_needs_here(tmp_path: Path) -> None:
    assert {finding.state for finding in machine.software()} <= {"ok", "warn"}
    place = machine.place_of(tmp_path / "not" / "there" / "yet")
    assert (place.path, place.writable) == (tmp_path, True)
    assert place.file_system


def test_packages_that_are_missing_or_outside_of_their_bounds_are_named() -> None:
    wanted = [Requirement("aiokafka>=0.12"), Requirement("kafka-python[crc32c]>=3.0")]
    assert machine.packages(wanted, {"aiokafka": "0.14.0", "kafka-python": "3.0.12"}).state == "ok"
    found = machine.packages(wanted, {"aiokafka": "0.11.0", "kafka-python": None})
    assert found.state == "fail"
    assert found.detail == "kafka-python is not installed, aiokafka 0.11.0, and it must be >=0.12"
    assert "make setup" in found.mend


@pytest.mark.parametrize(
    ("place", "state", "says"),
    [
        (GOOD, "ok", "50 GiB free"),
        (replace(GOOD, writable=False, owner="root"), "fail", "/data cannot be written, it is root's"),
        (replace(GOOD, foreign=("w1",)), "fail", "w1; it is another user's"),
        (replace(GOOD, free_bytes=GIB), "warn", "1.0 GiB free"),
        (replace(GOOD, file_system="tmpfs"), "warn", "in memory (tmpfs)"),
        (replace(GOOD, as_root=True), "warn", "looked at as root"),
        (replace(GOOD, as_root=True, owner="root"), "ok", "free"),
    ],
)
def test_a_directory(place: Place, state: str, says: str) -> None:
    found = machine.disk("tables", place)
    assert (found.what, found.state) == ("tables", state)
    assert says in found.detail
    assert (found.mend == "") == (state == "ok")


def test_a_file_in_the_place_of_a_directory_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert machine.disk("tables", machine.place_of(tmp_path / "file" / "workers")).state == "fail"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_is_another_users_is_named(tmp_path: Path) -> None:
    (tmp_path / "w1").mkdir(0o500)
    assert machine.place_of(tmp_path).foreign == ("w1",)


@pytest.mark.parametrize(
    ("total", "decoded", "state"),
    [(2 * GIB, 2000, "ok"), (600 * MIB, 2000, "warn"), (300 * MIB, 2000, "fail"), (2 * GIB, 100_000, "fail")],
)
def test_memory_is_compared_with_what_sizing_says(total: int, decoded: int, state: str) -> None:
    found = machine.memory(total, decoded)
    assert found.state == state
    assert ("BREACHWATCH_DECODED_SUBJECTS" in found.mend) == (state == "fail")


@pytest.mark.parametrize(
    ("limit", "partitions", "state"),
    [(1024, 4, "ok"), (1024, 48, "fail"), (65_536, 48, "ok"), (resource.RLIM_INFINITY, 1000, "ok")],
)
def test_a_worker_with_every_partition_may_open_its_stores(limit: int, partitions: int, state: str) -> None:
    found = machine.open_files(limit, partitions)
    assert found.state == state
    assert ("LimitNOFILE=" in found.mend) == (state == "fail")


@pytest.mark.parametrize(("name", "state"), [("utf-8", "ok"), ("UTF8", "ok"), ("ascii", "warn"), (None, "warn")])
def test_output_that_cannot_show_names(name: str | None, state: str) -> None:
    assert machine.encoding(name).state == state
