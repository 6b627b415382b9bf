"""The Faust application: topics, tables, wiring, nothing else."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.exceptions import ConsistencyError, ConsumerNotStarted
from faust.types import TP
from faust.types.auth import CredentialsT
from mode import Service

from streams import metrics, transport
from streams.agents import measured
from streams.agents.assess import assess_agent
from streams.agents.ingest import ingest_agent
from streams.alarms import AlarmClock, Alarms
from streams.backlog import Backlog
from streams.broker_clock import BrokerClock
from streams.core import jurisdiction
from streams.core.policy import load_policy
from streams.dead_letters import Letters
from streams.health import Health
from streams.identifiers import IndexReader
from streams.kafka.admin import cluster_of
from streams.kafka.cluster import MECHANISM, Cluster
from streams.kafka.topics import INGESTED, MAX_REQUEST_BYTES, TOPICS, full_name, topic_specs
from streams.outbound import Outbound
from streams.refusals import Refusals
from streams.settings import Settings
from streams.source_controls import SourceControls
from streams.source_status import SourceStatuses
from streams.subjects import Subjects
from streams.tables import SubjectTable, Table, is_damage
from streams.unresolved import Redrive
from streams.watchdog import Progress, Pulse, Watchdog

# The types alone leave the app's JSON codec in place: bytes that are not JSON would kill the stream.
_RAW = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
# Each partition of a table is a database of its own. RocksDB's defaults let one fill 64 MB of memory before it writes
# (a worker grew by 20 MB a minute at 100 fixes a second), and Faust's let it cache 2 GB; a row is read from the
# system's own cache in microseconds.
_ROCKSDB = {"write_buffer_size": 2**21, "max_write_buffer_number": 2, "block_cache_size": 2**22}

log = structlog.get_logger()


Sieve = Callable[[Mapping[TP, list[Any]]], Awaitable[dict[TP, list[Any]]]]


class App(faust.App):
    """A Faust app whose commits wait for its sends (`streams.transport`)."""

    def __init__(self, settings: Settings, name: str, **options: Any) -> None:
        self.settings = settings
        self.sends = transport.Sends()
        self.letters = Letters(settings.dead_letters_per_minute)
        self.sieve: Sieve | None = None
        self.pulse = Pulse(settings.session_timeout_s)
        self.watchdog = Watchdog(self.pulse, settings.stall_timeout_s, self.handed_out)
        self.recovered = asyncio.Event()
        self.committed: dict[tuple[str, int], int] = {}
        self.partition_count = {spec.name: spec.partitions for spec in topic_specs(settings)}
        super().__init__(name, **options)
        self._outputs = {topic.name: self.raw_topic(topic.name) for topic in TOPICS if topic.direction == "outbound"}

    async def on_start(self) -> None:
        """Before anything is joined or recovered; what is started as a user's service comes after the recovery."""
        await super().on_start()
        await self.watchdog.start()
        self.add_future(self._must_recover())
        self.add_future(self._watch_the_watchdog())
        self.add_future(self._show())

    async def on_stop(self) -> None:
        await self.watchdog.stop()
        await super().on_stop()

    async def _must_recover(self) -> None:
        """Recovery can hang on a compacted changelog (fs#176): another start is better than waiting on."""
        limit_s = self.settings.recovery_timeout_s
        try:
            await asyncio.wait_for(self.recovered.wait(), limit_s)
        except TimeoutError:
            await self.crash(RuntimeError(f"tables not recovered within {limit_s:g} s"))

    def assigned(self) -> set[TP]:
        """The stream partitions that this worker has now."""
        try:
            mine = self.consumer.assignment()
        except ConsumerNotStarted:
            return set()
        recovery = self.tables.recovery
        return {tp for tp in mine if tp not in recovery.active_tps and tp not in recovery.standby_tps}

    async def _show(self) -> None:
        while not self.should_stop:
            recovery = self.tables.recovery
            metrics.ASSIGNED.set(len(self.assigned()))
            metrics.RECOVERY_REMAINING.set(max(0, recovery.active_remaining_total()))
            await self.sleep(1.0)

    async def _watch_the_watchdog(self) -> None:
        assert self.watchdog.task is not None
        await asyncio.wait([self.watchdog.task])
        if not self.should_stop:
            await self.crash(self.watchdog.task.exception() or RuntimeError("the watchdog ended"))

    def _new_transport(self) -> Any:
        return transport.Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return transport.Transport(self.conf.broker_producer, self)

    def raw_topic(self, name: str) -> Any:
        """A topic of ours as bytes: agents validate, so that no decode error can kill a stream."""
        full = full_name(self.settings, name)
        return self.topic(full, partitions=self.partition_count[full], allow_empty=True, **_RAW)

    async def send_out(self, topic: str, message: Outbound) -> None:
        """Send what is for others; a commit waits for it."""
        await self._outputs[topic].send(key=message.key, value=message.value, headers=message.headers)

    def count_sent(self, topic: str) -> None:
        """A message is on its way to the topic of this full name."""
        metrics.MESSAGES_OUT.labels(topic.removeprefix(self.settings.topic_prefix)).inc()

    def on_rebalance_start(self) -> None:
        super().on_rebalance_start()
        metrics.REBALANCES.inc()

    async def before_commit(self) -> None:
        """Send what must not be lost if the next thing is a crash; raises UnsentError where that fails."""
        for topic, message in self.letters.kept_back():
            await self.send_out(topic, message)
        await self.sends.barrier(self.settings.send_timeout_s)

    def bytes_table(self, name: str, kind: type[Table] = Table) -> Any:
        """A table of bytes by bytes on the changelog that the topic list declares."""
        full = full_name(self.settings, f"breachwatch-{name}-changelog")
        partitions = self.partition_count[full]
        changelog = self.topic(full, partitions=partitions, compacting=True, allow_empty=True, **_RAW)
        table = kind(
            self,
            name=name,
            partitions=partitions,
            changelog_topic=changelog,
            help=name,
            key_type=bytes,
            value_type=bytes,
            options=_ROCKSDB,
            beacon=self.tables.beacon,
        )
        return self.tables.add(table)

    def purge_tables(self, partition: int, subject: str) -> None:
        """Take what was deleted of a subject out of the files of this worker's tables."""
        for table in self.tables.data.values():
            table.purge(partition, subject.encode(), f"{subject}}}".encode())

    def end_of(self, tp: TP) -> int:
        """Where a stream partition ended when it was last fetched."""
        return self.consumer.highwater(tp) or 0

    def handed_out(self) -> dict[object, Progress]:
        """Of each stream partition, what is committed and what agents have been handed; nothing while tables recover.

        Not the broker's end: messages that retention has deleted would be waited for for ever.
        """
        if self.rebalancing or self.tables.recovery.in_recovery:
            return {}
        consumer = self.consumer
        # Not Faust's own "read offset": after a start it is the committed one, as if a message were under way.
        open_ones = {message.tp for message in list(consumer._unacked_messages)}
        open_ones |= {tp for tp, acknowledged in list(consumer._acked.items()) if acknowledged}
        found = {tp: done or 0 for tp, done in list(consumer._committed_offset.items())}
        return {tp: Progress(done, done + (tp in open_ones)) for tp, done in found.items()}

    def _crash(self, reason: BaseException) -> None:
        """Every crash comes by here. A local store that is damaged, or ahead of its changelog because the topics
        were restored from a back-up, would end the next life in the same way: it goes.

        And nothing is committed any more: Faust now cancels agents, which acknowledges events that they are in the
        middle of, and commits once more on leaving.
        """
        self.sends.poison(reason)
        if is_damage(reason) or isinstance(reason, ConsistencyError):
            log.error("local_store_unusable", error=str(reason), what="deleted; built anew from the changelogs")
            shutil.rmtree(self.conf.tabledir, ignore_errors=True)
        super()._crash(reason)

    @asynccontextmanager
    async def whole(self, message: Any) -> AsyncIterator[None]:
        """Round all that an agent does with a message: if it does not come to the end, nothing is committed any more
        and the process ends, for another to read the message again.

        It is not the data's fault, so skipping it would lose it. And Faust takes a message for read when its agent is
        cancelled in the middle of it.
        """
        try:
            yield
        except Exception as fault:
            where = {"topic": message.topic, "partition": message.partition, "offset": message.offset}
            log.exception("agent_failed", **where)
            await self.crash(fault)
            raise
        except BaseException as end:
            self.sends.poison(end)
            raise


def _credentials(cluster: Cluster) -> CredentialsT | None:
    """The log-in, as Faust wants it."""
    context = cluster.ssl_context()
    if cluster.user is not None:
        return faust.SASLCredentials(
            username=cluster.user, password=cluster.password, ssl_context=context, mechanism=MECHANISM
        )
    return None if context is None else faust.SSLCredentials(context)


def faust_options(settings: Settings) -> dict[str, Any]:
    """What every Faust app on our topics is told, whoever it is and wherever it keeps its tables."""
    spec = topic_specs(settings)[0]
    return {
        # Named here because Faust's defaults do less than they seem to (8 partitions, replication 1, a commit
        # every 10,000 events, topics made by the leader, a web server on all addresses that shows tables).
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_partitions": spec.partitions,
        "topic_replication_factor": spec.replication,
        "table_standby_replicas": 0,
        "web_enabled": False,
        "processing_guarantee": "at_least_once",
        "broker_commit_interval": settings.commit_interval_s,
        "broker_commit_every": 1_000_000,
        "broker_session_timeout": settings.session_timeout_s,
        "broker_heartbeat_interval": settings.session_timeout_s / 4,
        "broker_max_poll_interval": 300.0,
        # Faust holds no more than 4,096 messages for an agent, and while one agent's are that many, messages of other
        # topics wait too. It stops fetching a partition at four fifths; a fetch without a bound brings 5,000.
        "broker_max_poll_records": 100,
        "broker_request_timeout": max(90.0, settings.session_timeout_s * 2),
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": MAX_REQUEST_BYTES,
        "producer_acks": -1,
        "producer_linger": 0,
        "producer_max_request_size": MAX_REQUEST_BYTES,
        "producer_request_timeout": settings.send_timeout_s,
        "stream_wait_empty": True,
        "stream_recovery_delay": 0.0,
        "worker_redirect_stdouts": False,
    }


def local_store(settings: Settings, worker_id: str) -> Path:
    """The directory of a worker's tables."""
    return Path(settings.data_dir) / "workers" / worker_id


def create_app(settings: Settings, worker_id: str, health: Health) -> App:
    """The application of one worker; `worker_id` names its local store and its place in the group.

    `health` is given what there is to be asked.
    """
    store = local_store(settings, worker_id)
    store.mkdir(parents=True, exist_ok=True)
    cluster = cluster_of(settings)
    app = App(
        settings,
        f"{settings.topic_prefix}breachwatch",
        broker=";".join(f"kafka://{server}" for server in cluster.servers),
        broker_credentials=_credentials(cluster),
        datadir=str(store),
        store=settings.table_store,
        # Static membership (KIP-345): a worker that comes back under its name takes its partitions up at once,
        # where the group would otherwise wait for its dead former self until the session times out.
        consumer_group_instance_id=worker_id,
        **faust_options(settings),
    )
    policy = load_policy(settings.policy_file)
    jurisdiction.load(policy.places.urban_population)
    measured.begin(policy)
    statuses = SourceStatuses(worker_id, app.send_out)
    controls = SourceControls(cluster, full_name(settings, "source-controls"))
    refusals = Refusals(settings, app.letters, controls, statuses, app.send_out)
    app.sieve = refusals.sieve
    index = IndexReader(cluster, full_name(settings, "identifiers"), settings.freshness_timeout_s)
    rows, records = app.bytes_table("subjects", SubjectTable), app.bytes_table("records")
    subjects = Subjects(rows, records, settings.decoded_subjects)
    alarms, backlog = Alarms(BrokerClock()), Backlog(app.end_of)
    assess_agent(app, policy, subjects, alarms, backlog, statuses)
    for name in INGESTED:
        ingest_agent(app, name, index, backlog, controls, statuses, refusals)
    redrive = Redrive(app, cluster, index)
    alarm_clock = AlarmClock(app, alarms)

    started = asyncio.Event()

    def serving() -> str | None:
        if app.should_stop:
            return "the worker is stopping"
        if not app.recovered.is_set() or app.rebalancing or app.tables.recovery.in_recovery:
            return "tables are being recovered"
        if not started.is_set():
            return "alarms and held events are being read"
        return None if app.assigned() else "no partitions: the group has more workers than partitions"

    health.alive["event loop"] = app.watchdog.alive
    health.ready |= {"tables": serving, "index": index.stale, "progress": app.watchdog.committing}

    @rows.on_recover
    async def _take_over(*_: Any) -> None:
        subjects.clear()
        backlog.clear()
        alarm_clock.load(rows)
        app.recovered.set()

    @app.service
    class IndexService(Service):
        """The identifier index and the re-drive live as long as the worker."""

        async def on_start(self) -> None:
            await controls.start()
            await index.start()
            await redrive.start()
            await alarm_clock.start()
            await statuses.start()
            started.set()

        async def on_stop(self) -> None:
            await statuses.stop()
            await alarm_clock.stop()
            await redrive.stop()
            await index.stop()
            await controls.stop()

        @Service.task
        async def _watch(self) -> None:
            """A reader that has died must not leave a worker that only looks alive."""
            readers = [
                task
                for task in (statuses.task, controls.task, index.task, redrive.task, alarm_clock.task)
                if task is not None
            ]
            done, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
            if not self.should_stop:
                await app.crash(done.pop().exception() or RuntimeError("a reader ended"))

    return app
