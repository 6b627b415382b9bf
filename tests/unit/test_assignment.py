"""Who has which roles, by a file, against what a cluster's access-control lists hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.admin import ACLResourcePatternType as Pattern

from streams.errors import BreachwatchError
from streams.kafka import access
from streams.kafka.assignment import compare, declared, render
from streams.kafka.cluster import Cluster
from streams.settings import Settings

SETTINGS = Settings(topic_prefix="p-")
HERE = Cluster("here:1")


def held(
    name: str = "p-orders",
    operation: str = "READ",
    *,
    user: str = "mallory",
    kind: str = "TOPIC",
    pattern: Pattern = Pattern.LITERAL,
    host: str = "*",
    permission: ACLPermissionType = ACLPermissionType.ALLOW,
) -> ACL:
    resource = ResourcePattern(ResourceType[kind], name, pattern)
    return ACL(f"User:{user}", host, ACLOperation[operation], permission, resource)


def wanted(tmp_path: Path, text: str = '[users]\ncourts = ["publish-orders"]\n') -> set[ACL]:
    (tmp_path / "access.toml").write_text(text, "utf-8")
    return declared(tmp_path / "access.toml", SETTINGS)


def test_a_file_comes_to_the_grants_of_its_roles(tmp_path: Path) -> None:
    name = "CN=worker-1,OU=Breaches,O=Norfolk Constabulary"
    found = wanted(tmp_path, f'[users]\n"{name}" = ["worker", "gate"]\ncourts = ["publish-orders"]\nleft = []\n')
    assert found == {
        access.entry(user, one)
        for user, role in ((name, "worker"), (name, "gate"), ("courts", "publish-orders"))
        for one in access.grants(role, SETTINGS)
    }
    assert {one.principal for one in found} == {f"User:{name}", "User:courts"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[users]\ncourts = 'publish-orders'\n", "users.courts"),
        ("[users]\ncourts = ['judge']\n", "there is no role 'judge'"),
        ("[users]\n'User:courts' = ['publish-orders']\n", "without User: before it"),
        ("[users]\n'*' = ['dashboard']\n", "is no user"),
        ("[users]\n' courts' = ['publish-orders']\n", "is no user"),
        ("[user]\n", "users: Field required"),
        ("[users\n", "not TOML"),
    ],
)
def test_a_file_that_does_not_hold_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BreachwatchError, match=says):
        wanted(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BreachwatchError, match=r"access file .*nothing\.toml: cannot be read"):
        declared(tmp_path / "nothing.toml", SETTINGS)


def test_a_cluster_as_declared_needs_nothing(tmp_path: Path) -> None:
    both = wanted(tmp_path)
    found = compare(HERE, both, both, SETTINGS)
    assert (found.missing, found.beyond, found.wide, found.kept) == ((), (), (), 2)
    assert render(found) == "access: 2 as declared"


def test_what_is_missing_is_shown(tmp_path: Path) -> None:
    found = compare(HERE, wanted(tmp_path), [], SETTINGS)
    assert render(found).splitlines() == [
        "grant    courts may DESCRIBE topic p-orders",
        "grant    courts may WRITE topic p-orders",
        "access: 2 to grant",
    ]


@pytest.mark.parametrize(
    "one",
    [
        held(),
        held(operation="ALL"),
        held("p-breachwatch", kind="GROUP"),
        held("p-breachwatch-res", kind="GROUP", pattern=Pattern.PREFIXED),
        # The same right, but from one host alone: not what the role says.
        held(operation="WRITE", user="courts", host="10.0.0.1"),
        # Whoever is forbidden what their role needs is silenced.
        held(operation="WRITE", user="courts", permission=ACLPermissionType.DENY),
    ],
    ids=repr,
)
def test_what_is_held_on_ours_alone_and_not_declared_is_beyond(tmp_path: Path, one: ACL) -> None:
    both = wanted(tmp_path)
    found = compare(HERE, both, {*both, one}, SETTINGS)
    assert (found.beyond, found.wide, found.missing) == ((one,), (), ())
    assert "topics apply --prune" in render(found)
    assert render(found, prune=True).startswith("take ")


@pytest.mark.parametrize(
    "one",
    [
        held("*"),
        held("p-", pattern=Pattern.PREFIXED),
        held("p", pattern=Pattern.PREFIXED),
        held("*", kind="GROUP"),
        held("p-bre", kind="GROUP", pattern=Pattern.PREFIXED),
        held("kafka-cluster", "ALTER", kind="CLUSTER"),
    ],
    ids=repr,
)
def test_what_reaches_further_is_shown_and_left_to_people(tmp_path: Path, one: ACL) -> None:
    both = wanted(tmp_path)
    found = compare(HERE, both, {*both, one}, SETTINGS)
    assert (found.beyond, found.wide) == ((), (one,))
    assert "by hand  mallory may" in render(found)


@pytest.mark.parametrize(
    "one",
    [held("orders"), held("q-", pattern=Pattern.PREFIXED), held("breachwatch", kind="GROUP"), held("p-orders-old")],
    ids=repr,
)
def test_what_is_others_is_no_matter_of_ours(tmp_path: Path, one: ACL) -> None:
    assert compare(HERE, wanted(tmp_path), {one}, SETTINGS) == compare(HERE, wanted(tmp_path), [], SETTINGS)


_ENTRIES = st.builds(
    held,
    st.sampled_from(["p-orders", "p-alerts", "p-", "*", "other", "p-breachwatch", "kafka-cluster"]),
    st.sampled_from(["READ", "WRITE", "ALL", "DESCRIBE"]),
    user=st.sampled_from(["courts", "mallory"]),
    kind=st.sampled_from(["TOPIC", "GROUP", "CLUSTER"]),
    pattern=st.sampled_from([Pattern.LITERAL, Pattern.PREFIXED]),
    permission=st.sampled_from([ACLPermissionType.ALLOW, ACLPermissionType.DENY]),
)


@given(st.sets(_ENTRIES), st.sets(_ENTRIES))
def test_after_what_a_plan_does_nothing_is_left_to_do(want: set[ACL], have: set[ACL]) -> None:
    found = compare(HERE, want, have, SETTINGS)
    assert want.isdisjoint({*found.beyond, *found.wide})
    after = (have | set(found.missing)) - set(found.beyond)
    again = compare(HERE, want, after, SETTINGS)
    assert (again.missing, again.beyond, again.wide, again.kept) == ((), (), found.wide, len(want))
