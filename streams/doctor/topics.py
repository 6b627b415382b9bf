"""The topics: are they as the list says, whole, and do they keep what they must keep?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kafka.admin import ConfigResource, KafkaAdminClient

from streams.doctor.finding import Finding, State, listed
from streams.kafka.admin import Change, TopicState, diff, existing
from streams.kafka.topics import TopicSpec, topic_specs
from streams.settings import Settings

_PLAN = "`breachwatch topics plan`, then `breachwatch topics apply`"
# Whose drift loses or misplaces messages; with the others it is only later that something is deleted.
_MATTERS = {"cleanup.policy", "message.timestamp.type", "retention.ms", "min.insync.replicas", "max.message.bytes"}
_ENDS = "breachwatch-subjects-changelog"
# What nobody sets on a topic of ours: with a value of its own it loses events.
_NEVER = {"retention.bytes": "-1", "unclean.leader.election.enable": "false"}
_OWN_VALUE = "DYNAMIC_TOPIC_CONFIG"


@dataclass(frozen=True)
class Copies:
    """One partition: where its copies are."""

    topic: str
    number: int
    leader: int | None
    replicas: int
    in_sync: int


@dataclass(frozen=True)
class Asked:
    """What the cluster says of the topics of a pipeline."""

    there: Mapping[str, TopicState]
    """Those of the list that are in the cluster."""
    copies: list[Copies]
    own: dict[str, dict[str, str]]
    """Topic -> what of `_NEVER` is set on it by itself."""
    offsets_copies: int | None
    """Copies of where groups are; None: we may not see it, or nobody has committed anything yet."""
    prefixes: list[str]
    """Of every pipeline in the cluster whose topics we see."""


def ask(client: KafkaAdminClient, settings: Settings) -> Asked:
    """Raises KafkaError where we may not see the topics."""
    specs = topic_specs(settings)
    there = existing(client, specs)
    every = client.list_topics()
    own = {}
    if there:
        resources = [ConfigResource("topic", name, list(_NEVER)) for name in there]
        for name, entries in client.describe_configs(resources, config_filter="all").get("topic", {}).items():
            own[name] = {k: e["value"] for k, e in entries.items() if e.get("config_source") == _OWN_VALUE}
    offsets = _copies(client, ["__consumer_offsets"]) if "__consumer_offsets" in every else []
    return Asked(
        there,
        _copies(client, list(there)) if there else [],
        own,
        min((one.replicas for one in offsets), default=None),
        sorted(name.removesuffix(_ENDS) for name in every if name.endswith(_ENDS)),
    )


def _copies(client: KafkaAdminClient, names: list[str]) -> list[Copies]:
    return [
        Copies(
            topic["name"],
            one["partition_index"],
            one["leader_id"] if one["leader_id"] >= 0 else None,
            len(one["replica_nodes"]),
            len(one["isr_nodes"]),
        )
        for topic in client.describe_topics(names)
        for one in topic["partitions"]
    ]


def topics(asked: Asked, settings: Settings) -> list[Finding]:
    """Everything about the topics that is not as it must be; one `ok` where all is."""
    specs = topic_specs(settings)
    changes = diff(specs, asked.there)
    if asked.there and not any(state.config for state in asked.there.values()):
        mend = "run it as a user who may: `breachwatch access show worker`"
        return [Finding("topics", "warn", "we may not see how the topics are set", mend)]
    return [
        *(
            [
                *_as_listed(changes, asked.prefixes, settings.topic_prefix),
                *_copied(specs, asked.there),
                *_own(asked.own),
            ]
            or [Finding("topics", "ok", f"all {len(specs)} are as the list says")]
        ),
        *(
            [*_whole(asked.copies, specs), *_offsets(asked.offsets_copies, specs[0].replication)]
            or [Finding("copies", "ok", f"all {len(asked.copies)} partitions have a leader and all of their copies")]
        ),
    ]


def _as_listed(changes: Sequence[Change], prefixes: Sequence[str], prefix: str) -> Iterator[Finding]:
    missing = [change.spec.name for change in changes if change.kind == "create"]
    if missing and len(missing) == len(changes):
        others = [repr(other) for other in prefixes if other != prefix]
        also = f"; there are pipelines under the prefixes {listed(others)}" if others else ""
        first = "set BREACHWATCH_TOPIC_PREFIX to the one that is meant; for a new pipeline " if others else ""
        shown = f"there is no topic under the prefix {prefix!r}{also}"
        yield Finding("topics", "fail", shown, f"{first}`breachwatch topics apply`")
    elif missing:
        yield Finding("topics", "fail", f"missing: {listed(missing)}", _PLAN)
    refused = [change for change in changes if change.kind == "refused"]
    if refused:
        shown = listed(f"{change.spec.name}: {change.details[0]}" for change in refused)
        mend = "set BREACHWATCH_PARTITIONS to what is there: a count is permanent, see `breachwatch topics plan`"
        yield Finding("topics", "fail", shown, mend)
    altered = [change for change in changes if change.kind == "alter"]
    matters: dict[State, list[Change]] = {
        "fail": [change for change in altered if _MATTERS & change.config.keys()],
        "warn": [change for change in altered if not _MATTERS & change.config.keys()],
    }
    for state, chosen in matters.items():
        if chosen:
            shown = listed(f"{change.spec.name}: {', '.join(change.details)}" for change in chosen)
            yield Finding("topics", state, shown, _PLAN)


def _copied(specs: Sequence[TopicSpec], there: Mapping[str, TopicState]) -> Iterator[Finding]:
    mend = f"move them with kafka-reassign-partitions, or set BREACHWATCH_REPLICATION as it is; then {_PLAN}"
    fewer: list[str] = []
    more: list[str] = []
    for spec in specs:
        state = there.get(spec.name)
        if state is not None and state.replication != spec.replication:
            (fewer if state.replication < spec.replication else more).append(
                f"{spec.name}: {state.replication} copies, and it is to have {spec.replication}"
            )
    if fewer:
        yield Finding("topics", "fail", listed(fewer), mend)
    if more:
        yield Finding("topics", "warn", listed(more), mend)


def _own(own: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    for key, wanted in _NEVER.items():
        wrong = {name: values[key] for name, values in own.items() if values.get(key, wanted) != wanted}
        if wrong:
            shown = f"{key} is set: " + listed(f"{name}: {value}" for name, value in wrong.items())
            why = "deleted by size, before their days are over" if key == "retention.bytes" else "lost with a leader"
            mend = f"`kafka-configs --alter --entity-type topics --entity-name NAME --delete-config {key}`"
            yield Finding("topics", "fail", f"{shown}: events are {why}", mend)


def _whole(copies: Iterable[Copies], specs: Sequence[TopicSpec]) -> Iterator[Finding]:
    least = {spec.name: int(spec.config["min.insync.replicas"]) for spec in specs}
    grades: dict[str, list[str]] = {"offline": [], "refusing": [], "short": []}
    for one in copies:
        name = f"{one.topic}/{one.number}"
        if one.leader is None:
            grades["offline"].append(name)
        elif one.in_sync < least.get(one.topic, 1):
            grades["refusing"].append(name)
        elif one.in_sync < one.replicas:
            grades["short"].append(name)
    look = "start the broker that is away, or look at its log and its disk"
    said: dict[str, tuple[State, str]] = {
        "offline": ("fail", "without a leader, nothing can be read or written"),
        "refusing": ("fail", "fewer copies in sync than min.insync.replicas, writes are refused"),
        "short": ("warn", "a copy is behind or away; another that goes stops writing"),
    }
    for grade, names in grades.items():
        if names:
            state, means = said[grade]
            yield Finding("copies", state, f"{len(names)} partitions: {means}: {listed(names)}", look)


def _offsets(copies: int | None, replication: int) -> Iterator[Finding]:
    if copies is not None and copies < replication:
        yield Finding(
            "copies",
            "warn",
            f"__consumer_offsets has {copies} copies, and topics have {replication}: without its broker every group "
            "stands still",
            "raise it with kafka-reassign-partitions, and set offsets.topic.replication.factor",
        )
