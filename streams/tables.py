"""Our tables: a damaged or an old local store is built anew from the log, and recovery keeps the newest row.

A worker that was frozen may have rows in its producer's buffer, and send them when another has long had its
partitions. Both apply the same log, so of two rows of a subject the one that has applied more of it is the newer.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.stores import rocksdb
from faust.streams import current_event
from faust.types import TP
from rocksdict import BottommostLevelCompaction, CompactOptions

from streams import metrics
from streams.core.rows import head
from streams.errors import BreachwatchError
from streams.kafka.topics import DAY_MS, TOMBSTONE_MS

log = structlog.get_logger()

Stamp = tuple[float, int]
"""The row's time, and the offset that it has applied."""


def stamp(row: bytes) -> Stamp:
    """The time comes first: offsets begin again where the topic was made anew."""
    stored = head(row)
    return stored.now, stored.applied


def newest(events: Iterable[Any], stored: Callable[[bytes], bytes | None]) -> Iterator[Any]:
    """Of changelog events those that are no older than what is stored, or than one before them."""
    known: dict[bytes, Stamp] = {}
    for event in events:
        key, row = event.message.key, event.message.value
        if row is None:
            yield event
            continue
        try:
            mine = stamp(row)
        except (ValueError, TypeError, AttributeError):
            # Only workers write a changelog. The row before it stays, and the worker does not end over it for ever.
            metrics.UNREADABLE.labels("breachwatch-subjects-changelog").inc()
            log.error("row_unreadable", partition=event.message.partition, offset=event.message.offset)
            continue
        if key not in known:
            before = stored(key)
            known[key] = (0.0, -1) if before is None else stamp(before)
        if mine >= known[key]:
            known[key] = mine
            yield event


class ForeignStoreError(BreachwatchError):
    """A worker's local store holds the rows of another pipeline."""


_PIPELINE = "PIPELINE"


def claim(directory: Path, pipeline: str) -> None:
    """Take a worker's directory for a pipeline (`streams.kafka.admin.pipeline_of`), and make it if need be.

    Raises ForeignStoreError where it is another's: recovery would read on from an offset that means another message
    here, and the rows of two pipelines would be one table. One from before there was this mark is taken as it is.
    """
    directory.mkdir(parents=True, exist_ok=True)
    mark = directory / _PIPELINE
    if not mark.exists():
        mark.write_text(pipeline, "utf-8")
    elif mark.read_text("utf-8") != pipeline:
        raise ForeignStoreError(
            f"{directory} holds the rows of another cluster or topic prefix: give each pipeline a data directory of "
            "its own (BREACHWATCH_DATA_DIR), or delete this one, and its rows are read from Kafka"
        )


# As rocksdict 0.3.29 has them: it raises `Exception` itself, and nothing but the text tells one from another.
_DAMAGE = ("Corruption:", "IO error: No such file or directory:")


def is_damage(error: BaseException) -> bool:
    """Does RocksDB say that its files are not as it wrote them?"""
    return type(error) is Exception and str(error).startswith(_DAMAGE)


# Otherwise a file that nothing lies below is moved as it is, with the keys of what was deleted.
_REWRITING = CompactOptions()
_REWRITING.set_bottommost_level_compaction(BottommostLevelCompaction.force())
# A day less than null values are kept for: recovery is over by then.
_STORE_KEEPS_S = (TOMBSTONE_MS - DAY_MS) / 1000
_CAUGHT_UP = "CAUGHT_UP"


def is_old(store: Path, now: float) -> bool:
    """Has the local store of a partition been without its worker for so long that null values it has not seen may be
    gone from the changelog? Then what they deleted, perhaps by an erasure, would be back with the store.

    `now` in seconds since 1970. A store that says nothing of it is as old as its files.
    """
    mark = store / _CAUGHT_UP
    return store.exists() and (mark if mark.exists() else store).stat().st_mtime < now - _STORE_KEEPS_S


class Store(rocksdb.Store):  # type: ignore[misc]
    """Faust's RocksDB store; one that cannot be opened, or is too old, is deleted, and recovery reads the changelog
    from the start."""

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        super().set_persisted_offset(tp, offset)
        # In the middle of a recovery what comes next is from a time gone by.
        if self.app.recovered.is_set() and not self.app.tables.recovery.in_recovery:
            (self.partition_path(tp.partition) / _CAUGHT_UP).touch()

    def _del(self, key: bytes) -> None:
        """In the partition of the event alone, as it is written. Faust deletes in all of them what it does not find,
        and they keep the deletion, with its key."""
        event = current_event()
        if event is None:
            super()._del(key)
        else:
            self._db_for_partition(event.message.partition).delete(key)

    def _open_for_partition(self, partition: int) -> Any:
        if is_old(path := self.partition_path(partition), time.time()):
            log.warning("local_store_old", store=path.name, what="built anew from the changelog")
            shutil.rmtree(path)
        try:
            return super()._open_for_partition(partition)
        except Exception as error:  # rocksdict raises nothing narrower
            if not is_damage(error):
                raise
            log.error("local_store_damaged", store=path.name, error=str(error), what="built anew from the changelog")
            shutil.rmtree(path, ignore_errors=True)
            return super()._open_for_partition(partition)


class Table(faust.Table):  # type: ignore[misc]
    """A table of ours."""

    def purge(self, partition: int, first: bytes, last: bytes) -> None:
        """Rewrite the files that have keys from `first` to `last`: what was deleted there stays in them otherwise,
        until RocksDB has a reason of its own. Some 50 ms for a file of 12 MB."""
        if isinstance(self.data, Store):
            self.data._db_for_partition(partition).compact_range(first, last, _REWRITING)

    def _new_store_by_url(self, url: Any) -> Any:
        if not str(url).startswith("rocksdb:"):
            return super()._new_store_by_url(url)
        return Store(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
        )


class SubjectTable(Table):
    """A table by subject whose recovery keeps the newest row."""

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        super().apply_changelog_batch(list(newest(batch, self.data.get)))
