"""A worker's local store from the changelogs alone, and its comparison with them. The worker must not run."""

import itertools
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from streams.app import App, create_app, local_store
from streams.errors import BreachwatchError
from streams.health import Health
from streams.kafka.admin import cluster_of, pipeline_of
from streams.kafka.reading import read_all
from streams.settings import Settings
from streams.tables import claim

_BATCH = 2000


@dataclass(frozen=True)
class _Logged:
    """A changelog message in the shape in which a Faust store takes it."""

    tp: TP
    offset: int
    key: bytes
    value: bytes | None

    @property
    def partition(self) -> int:
        return int(self.tp.partition)

    @property
    def message(self) -> "_Logged":
        return self


@contextmanager
def _tables(settings: Settings, worker: str) -> Iterator[App]:
    """The worker's tables, opened; raises BreachwatchError while the worker itself has them open."""
    app = create_app(settings, worker, Health("rebuild"))
    stores = [table.data for table in app.tables.data.values()]
    try:
        for store in stores:
            for number in range(store.table.partitions):
                if store.partition_path(number).exists():
                    store._db_for_partition(number)
        yield app
    except Exception as error:  # rocksdict raises nothing narrower
        if type(error) is Exception and "lock" in str(error).lower():
            raise BreachwatchError(f"worker {worker} runs: stop it first, its tables can be opened once") from None
        raise
    finally:
        for store in stores:
            _close(store)


def _close(store: Any) -> None:
    while store._dbs:
        store._dbs.popitem()[1].close()


def rebuild(settings: Settings, worker: str) -> dict[str, int]:
    """Delete the worker's local tables and make each anew; table -> rows that it has now.

    Every partition is made, so that the worker recovers quickly whichever it is given. Raises BreachwatchError
    while the worker runs, where the directory is another pipeline's, or when the changelogs cannot be read: what was
    there is gone then, and the worker recovers by itself.
    """
    claim(local_store(settings, worker), pipeline_of(settings))
    found = {}
    with _tables(settings, worker) as app:
        for name, table in app.tables.data.items():
            _close(table.data)
            for number in range(table.partitions):
                shutil.rmtree(table.data.partition_path(number), ignore_errors=True)
                for batch in _batches(_logged(settings, table, number)):
                    table.apply_changelog_batch(batch)
            found[name] = sum(
                table.data._size1(table.data._db_for_partition(number)) for number in range(table.partitions)
            )
    return found


def differences(settings: Settings, worker: str) -> tuple[int, list[str]]:
    """How many rows of the worker's local tables were compared with the changelogs, and what differs.

    A partition is compared as the changelog was at the store's offset; what compaction has since put beyond that
    is passed over. Raises BreachwatchError while the worker runs.
    """
    compared, wrong = 0, []
    with _tables(settings, worker) as app:
        for name, table in app.tables.data.items():
            for number in sorted(table.data._dbs):
                tp = TP(table.changelog_topic.get_topic_name(), number)
                until = table.data.persisted_offset(tp)
                newest: dict[bytes, bytes | None] = {}
                later: set[bytes] = set()
                for one in _logged(settings, table, number):
                    if until is None or one.offset > until:
                        later.add(one.key)
                    else:
                        newest[one.key] = one.value
                here = dict(table.data._visible_items(table.data._db_for_partition(number)))
                for key in (here.keys() | {key for key, value in newest.items() if value is not None}) - later:
                    compared += 1
                    if here.get(key) != newest.get(key):
                        wrong.append(f"{name} {number}: a row of the local store is not that of the changelog")
    return compared, wrong


def _logged(settings: Settings, table: Any, number: int) -> Iterator[_Logged]:
    topic = table.changelog_topic.get_topic_name()
    for record in read_all(cluster_of(settings), topic, partition=number):
        yield _Logged(TP(topic, number), record.offset, record.key, record.value)


def _batches(logged: Iterable[_Logged]) -> Iterator[list[_Logged]]:
    source = iter(logged)
    while batch := list(itertools.islice(source, _BATCH)):
        yield batch
