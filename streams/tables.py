"""Our tables: a damaged local store is built anew from the log, and recovery keeps the newest row, whoever wrote it.

A worker that was frozen may have rows in its producer's buffer, and send them when another has long had its
partitions. Both apply the same log, so of two rows of a subject the one that has applied more of it is the newer.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import faust
import structlog
from faust.stores import rocksdb

from streams import metrics
from streams.core.rows import head

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


# As rocksdict 0.3.29 has them: it raises `Exception` itself, and nothing but the text tells one from another.
_DAMAGE = ("Corruption:", "IO error: No such file or directory:")


def is_damage(error: BaseException) -> bool:
    """Does RocksDB say that its files are not as it wrote them?"""
    return type(error) is Exception and str(error).startswith(_DAMAGE)


class Store(rocksdb.Store):  # type: ignore[misc]
    """Faust's RocksDB store; what cannot be opened is deleted, and recovery reads the changelog from the start."""

    def _open_for_partition(self, partition: int) -> Any:
        try:
            return super()._open_for_partition(partition)
        except Exception as error:  # rocksdict raises nothing narrower
            if not is_damage(error):
                raise
            path = self.partition_path(partition)
            log.error("local_store_damaged", store=path.name, error=str(error), what="built anew from the changelog")
            shutil.rmtree(path, ignore_errors=True)
            return super()._open_for_partition(partition)


class Table(faust.Table):  # type: ignore[misc]
    """A table of ours."""

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
