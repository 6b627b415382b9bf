"""Bring a cluster's topics in line with the list in ``streams.kafka.topics``, and check that they are.

``diff`` and ``problems`` decide and are pure; ``plan``, ``apply`` and ``check`` talk to the cluster.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import for_code

from streams.errors import BreachwatchError
from streams.kafka import local
from streams.kafka.client import KafkaRequestError, KafkaUnavailableError, connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import TopicSpec, topic_specs
from streams.settings import Settings

READY_TIMEOUT_S = 30.0
_POLL_S = 0.1
_CREATE_TIMEOUT_MS = 30_000
_UNKNOWN_TOPIC = 3
_ALREADY_EXISTS = 36
# What a worker cannot run without; the rest of a topic's configuration may drift until the next apply.
_CHECKED_CONFIG = ("cleanup.policy", "message.timestamp.type")

Kind = Literal["ok", "create", "alter", "by hand", "refused"]


class TopicsRefusedError(BreachwatchError):
    """A plan holds a change that is never made."""


@dataclass(frozen=True)
class TopicState:
    """A topic as the cluster has it; ``config`` holds the effective values, defaults included."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What one topic needs; ``details`` are lines for people, ``config`` what an ``alter`` sets."""

    kind: Kind
    spec: TopicSpec
    details: tuple[str, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Every topic of the list, with what it needs in the cluster."""

    cluster: Cluster
    changes: tuple[Change, ...]

    def of_kind(self, kind: Kind) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind == kind]

    @property
    def refused(self) -> bool:
        """A partition count differs."""
        return bool(self.of_kind("refused"))

    @property
    def empty(self) -> bool:
        """The cluster is as the list says."""
        return all(change.kind == "ok" for change in self.changes)


@dataclass(frozen=True)
class Problem:
    """Why a worker must not start; ``topic`` is the full name, None where it is the cluster's matter."""

    topic: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.text}" if self.topic else self.text


def cluster_of(settings: Settings) -> Cluster:
    """The cluster to use: as set, or the local Kafka in the data directory.

    Raises KafkaUnavailableError when none is set and none runs, and BreachwatchError when a secret's file cannot be
    read; does not connect.
    """
    if settings.bootstrap_servers:
        needing_tls = (settings.kafka_ca_file, settings.kafka_user, settings.kafka_client_cert_file)
        return Cluster(
            settings.bootstrap_servers,
            tls=settings.kafka_tls or any(value is not None for value in needing_tls),
            ca_file=settings.kafka_ca_file,
            user=settings.kafka_user,
            password=_secret(settings, "kafka_password_file"),
            cert_file=settings.kafka_client_cert_file,
            key_file=settings.kafka_client_key_file,
            key_password=_secret(settings, "kafka_key_password_file"),
        )
    data_dir = settings.data_dir / "kafka"
    found = local.status(data_dir)
    if found is not None and found.running:
        return Cluster(found.bootstrap_servers)
    raise KafkaUnavailableError(
        f"no local Kafka runs in {data_dir} and BREACHWATCH_BOOTSTRAP_SERVERS is not set: "
        "run `breachwatch kafka start`, or set it to a cluster's addresses"
    )


def _secret(settings: Settings, name: str) -> str | None:
    """What the file of the setting ``name`` holds, without the line end that editors and orchestrators add."""
    file: Path | None = getattr(settings, name)
    if file is None:
        return None
    try:
        found = file.read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        # The decoder's own text shows the bytes.
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BreachwatchError(f"BREACHWATCH_{name.upper()}: {file} cannot be read: {why}") from None
    if not found or "\n" in found:
        raise BreachwatchError(f"BREACHWATCH_{name.upper()}: {file} must hold the password in one line, no more")
    return found


def diff(specs: Sequence[TopicSpec], existing: Mapping[str, TopicState]) -> tuple[Change, ...]:
    """What each of ``specs`` needs, given the topics that exist; in the order of ``specs``."""
    return tuple(_change(spec, existing.get(spec.name)) for spec in specs)


def _change(spec: TopicSpec, state: TopicState | None) -> Change:
    if state is None:
        return Change("create", spec, (f"{spec.partitions} partitions, replication {spec.replication}",))
    if state.partitions != spec.partitions:
        return Change("refused", spec, (f"partitions {state.partitions} -> {spec.partitions}",))
    wrong = {key: value for key, value in spec.config.items() if state.config.get(key) != value}
    details = [f"{key} {state.config.get(key, 'unknown')} -> {value}" for key, value in wrong.items()]
    if state.replication != spec.replication:
        moved = f"replication {state.replication} -> {spec.replication}: with Kafka's own reassignment tool"
        # Fewer copies than min.insync.replicas would refuse every write.
        return Change("by hand", spec, (moved, *(f"then {line}" for line in details)))
    return Change("alter", spec, tuple(details), wrong) if wrong else Change("ok", spec)


def problems(
    specs: Sequence[TopicSpec], existing: Mapping[str, TopicState], auto_create: Sequence[int]
) -> list[Problem]:
    """What keeps a worker from starting; ``auto_create``: the brokers that create topics unasked."""
    found = []
    for spec in specs:
        state = existing.get(spec.name)
        if state is None:
            found.append(Problem(spec.name, "does not exist"))
            continue
        if state.partitions != spec.partitions:
            found.append(Problem(spec.name, f"has {state.partitions} partitions, and {spec.partitions} are needed"))
        found += [
            Problem(spec.name, f"{key} is {state.config.get(key, 'unknown')}, and must be {spec.config[key]}")
            for key in _CHECKED_CONFIG
            if state.config.get(key) != spec.config[key]
        ]
    if auto_create:
        brokers = ", ".join(map(str, auto_create))
        found.append(
            Problem(
                None,
                f"auto.create.topics.enable is true on broker {brokers}, and must be false: "
                "a topic made unasked has the wrong number of partitions for ever",
            )
        )
    return found


def plan(settings: Settings) -> Plan:
    """Compare the cluster with the list; changes nothing. Raises KafkaUnavailableError within seconds."""
    cluster = cluster_of(settings)
    specs = topic_specs(settings)
    with connect(cluster) as admin:
        return Plan(cluster, diff(specs, existing(admin, specs)))


def apply(plan: Plan) -> None:
    """Create what is missing, set what differs, and wait until every topic can be used.

    Never changes a partition count or a replication: raises TopicsRefusedError, before anything is
    changed, when the plan holds a refused change. Raises KafkaRequestError when the cluster refuses.
    """
    if plan.refused:
        raise TopicsRefusedError(render(plan))
    creates, alters = plan.of_kind("create"), plan.of_kind("alter")
    if not creates and not alters:
        return
    with connect(plan.cluster) as admin:
        if creates:
            _create(admin, [change.spec for change in creates])
        if alters:
            _alter(admin, alters)
        _wait_applied(admin, [change.spec for change in plan.changes])


def check(settings: Settings) -> list[Problem]:
    """What keeps a worker from starting on the cluster of ``settings``; empty when nothing does."""
    specs = topic_specs(settings)
    with connect(cluster_of(settings)) as admin:
        return problems(specs, existing(admin, specs), _auto_creating_brokers(admin))


def require(settings: Settings, process: str) -> None:
    """Return when nothing keeps the process (`worker`, `gate`) from starting; else BreachwatchError says what."""
    found = check(settings)
    if found:
        raise BreachwatchError(
            f"the {process} does not start:\n"
            + "\n".join(str(problem) for problem in found)
            + "\nsee `breachwatch topics plan`, then `breachwatch topics apply`"
        )


def pipeline_of(settings: Settings) -> str:
    """What tells this pipeline from every other one: the id that its cluster was formatted with, and its prefix."""
    with connect(cluster_of(settings)) as admin:
        return f"{admin.describe_cluster()['cluster_id']} {settings.topic_prefix}"


def render(plan: Plan) -> str:
    """The plan as text: a line a topic that needs something, and the way to migrate where one is refused."""
    lines = []
    for change in plan.changes:
        if change.kind != "ok":
            lines.append(f"{change.kind:<8} {change.spec.name}")
            lines += [f"           {detail}" for detail in change.details]
    counts = [(kind, len(plan.of_kind(kind))) for kind in ("create", "alter", "by hand", "refused", "ok")]
    summary = ", ".join(f"{count} {kind}" for kind, count in counts if count)
    lines.append(f"{summary} at {plan.cluster}")
    if plan.refused:
        lines.append(_migration(plan))
    return "\n".join(lines)


def _migration(plan: Plan) -> str:
    wanted = plan.of_kind("refused")[0].spec.partitions
    return f"""
A partition count is permanent: keys would move to other partitions, and tables and their logs would no
longer meet. Nothing was changed. Keep the count that is there, or migrate to new topics with {wanted}:

  1. Stop the gate and every worker. The senders may go on; their messages wait in the old topics.
  2. Set BREACHWATCH_TOPIC_PREFIX to one not used yet, such as "v2-": it gives new topics, new groups and
     new tables. Run `breachwatch topics apply`.
  3. Remove the workers' table stores below BREACHWATCH_DATA_DIR on every host (not its kafka/ directory).
  4. Republish what the old inbound topics hold to the new ones, with the same values: orders first, then
     the others. Orders older than the topic's retention must be sent again by the records system.
  5. Start the workers and the gate, wait until they report ready and their lag is 0, and compare the open
     tasks with those of the old arrest-tasks.
  6. Point the senders and the dashboards at the new topics, and republish what arrived meanwhile; event ids
     make repeats harmless. Delete the old topics when nobody needs them as evidence."""


def existing(admin: KafkaAdminClient, specs: Sequence[TopicSpec]) -> dict[str, TopicState]:
    """Those of ``specs`` that the cluster has, by their full names, with the configuration in effect."""
    found = {}
    for topic in admin.describe_topics([spec.name for spec in specs]):
        if topic["error_code"] == _UNKNOWN_TOPIC:
            continue
        partitions = topic["partitions"]
        if not partitions:
            raise KafkaRequestError(f"{topic['name']}: {for_code(topic['error_code']).__name__}")
        found[topic["name"]] = (len(partitions), min(len(p["replica_nodes"]) for p in partitions))
    if not found:
        return {}
    resources = [ConfigResource("topic", s.name, list(s.config)) for s in specs if s.name in found]
    configs = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: TopicState(*counts, {key: entry["value"] for key, entry in configs.get(name, {}).items()})
        for name, counts in found.items()
    }


def _create(admin: KafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    """Create ``specs``; one that appeared in the meantime counts as created."""
    wanted = {
        spec.name: {
            "num_partitions": spec.partitions,
            "replication_factor": spec.replication,
            "configs": spec.config,
        }
        for spec in specs
    }
    answer = admin.create_topics(wanted, timeout_ms=_CREATE_TIMEOUT_MS, raise_errors=False)
    failed = [t for t in answer["topics"] if t["error_code"] not in (0, _ALREADY_EXISTS)]
    if failed:
        lines = [f"{t['name']}: {t['error_message'] or for_code(t['error_code']).__name__}" for t in failed]
        raise KafkaRequestError("these topics cannot be created:\n" + "\n".join(lines))


def _alter(admin: KafkaAdminClient, changes: Sequence[Change]) -> None:
    """Set only the keys that differ: whatever else an operator set on a topic stays."""
    resources = [ConfigResource("topic", c.spec.name, dict(c.config)) for c in changes]
    answer = admin.alter_configs(resources, incremental=True)["topic"]
    failed = [f"{name}: {result}" for name, result in answer.items() if result != "OK"]
    if failed:
        raise KafkaRequestError("these topics cannot be altered:\n" + "\n".join(failed))


def _wait_applied(admin: KafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    """Return when every topic has its leaders and shows what was set.

    The controller answers before the brokers know: a check right after would still see the old values.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    admin.wait_for_topics([spec.name for spec in specs], timeout_ms=int(READY_TIMEOUT_S * 1000))
    while late := [c for c in diff(specs, existing(admin, specs)) if c.kind in ("create", "alter")]:
        if time.monotonic() > deadline:
            names = ", ".join(change.spec.name for change in late)
            raise KafkaRequestError(f"not as was set after {READY_TIMEOUT_S:.0f} s: {names}")
        time.sleep(_POLL_S)


def _auto_creating_brokers(admin: KafkaAdminClient) -> list[int]:
    """The ids of the brokers that create a topic when a client names one; not those that do not tell."""
    key = "auto.create.topics.enable"
    brokers = admin.describe_cluster()["brokers"]
    ids = [broker["broker_id"] for broker in brokers if not broker.get("is_fenced")]
    resources = [ConfigResource("broker", str(broker), [key]) for broker in ids]
    configs = admin.describe_configs(resources, config_filter="all").get("broker", {})
    return [broker for broker in ids if configs.get(str(broker), {}).get(key, {}).get("value") == "true"]
