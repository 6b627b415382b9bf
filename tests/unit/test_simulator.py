"""The simulator: its truth must be what a plain reading of its own events gives, whatever the noise.

The judge below is written from the rules alone, with none of `streams.core` and none of the simulator's
geometry; slow and simple, so that it can be read.
"""

import base64
import hashlib
import math
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from random import Random

import orjson
import pytest
import shapely
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from typer.testing import CliRunner

from schemas.base import Circle, Event, Position
from schemas.custody import CustodyEvent
from schemas.inbound import BadMessageError, decode
from schemas.orders import IdentifierKind, Order, OrderServed, Role
from schemas.reports import BreachReport
from schemas.sightings import OfficerSighting, PlateRead, TagFix
from streams.cli.simulate import command, configure
from streams.errors import BreachwatchError
from streams.settings import Settings
from streams.simulator import Noise, SimulatedWorld, WorldConfig, names, simulate
from streams.simulator.output import PublishError, publish, write
from streams.simulator.sites import make_site

END = datetime(2026, 11, 25, 8, tzinfo=UTC)
GAP = timedelta(minutes=10)
GEOD = Geod(ellps="WGS84")
BUSY = {
    "visits": 4.0,
    "plate_visits": 3.0,
    "report_rate": 2.0,
    "passes": 2.0,
    "arrest_share": 0.5,
    "new_order_share": 0.3,
}


@lru_cache(maxsize=64)
def world(
    noise: str = "none", seed: int = 1, orders: int = 60, subjects: int = 45, hours: float = 24
) -> SimulatedWorld:
    level = Noise.level(noise)
    config = WorldConfig(
        end=END, seed=seed, orders=orders, subjects=subjects, hours=hours, reads_per_second=0.01, noise=level, **BUSY
    )
    return simulate(config)


# -- an independent judge ----------------------------------------------------------------------------------


def events_of(simulated: SimulatedWorld) -> list[Event]:
    """What the wire says, once each, in the order of time; without what is no event or comes from the future."""
    found = {}
    for message in simulated.events:
        try:
            event = decode(message.topic, message.encoded())
        except BadMessageError:
            continue
        if event.time <= END:
            found[event.event_id] = event
    return sorted(found.values(), key=lambda event: event.time)


def canonical(vrm: str) -> str:
    """O and 0 by their position in AA99AAA."""
    return "".join(c.replace("O", "0") if i in (2, 3) else c.replace("0", "O") for i, c in enumerate(vrm))


def depth_m(area: object, at: Position) -> float:
    """Metres to the edge, positive inside: on a plane about the position, along geodesics."""

    def flat(lon: float, lat: float) -> tuple[float, float]:
        bearing, _, metres = GEOD.inv(at.longitude, at.latitude, lon, lat)
        angle = math.radians(bearing)
        return metres * math.sin(angle), metres * math.cos(angle)

    if isinstance(area, Circle):
        return area.radius_m - GEOD.inv(at.longitude, at.latitude, area.centre.longitude, area.centre.latitude)[2]
    shape = shapely.Polygon([flat(point[0], point[1]) for point in area.coordinates[0]])
    here = shapely.Point(0, 0)
    return shape.exterior.distance(here) * (1 if shape.contains(here) else -1)


class Judge:
    """Breaches as (subject, order, term, certainty, began, ended), by the rules of the truth."""

    def __init__(self, events: list[Event]) -> None:
        self.orders = [event.data for event in events if isinstance(event, Order)]
        replaced = {order.replaces: order.made_at for order in self.orders if order.replaces}
        self.spans = {
            o.order_id: (o.effective_from or o.made_at, replaced.get(o.order_id, o.expires_at)) for o in self.orders
        }
        self.owner = {}
        for order in self.orders:
            for identifier in order.identifiers:
                if identifier.role is Role.SUBJECT:
                    self.owner[identifier.kind, identifier.value] = (order.respondent.subject_id, identifier.valid_to)
        self.breaches = set()
        self.sightings = defaultdict(list)
        self.least_margin = 1e9
        tracks = defaultdict(list)
        for event in events:
            if isinstance(event, TagFix) and event.data.position and event.data.position.usable:
                tracks[
                    self.owner[IdentifierKind.TAG, event.data.device_id][0], "confirmed", event.data.device_id
                ].append(event)
            elif isinstance(event, PlateRead):
                vrm = canonical(event.data.vrm)
                subject, until = self.owner.get((IdentifierKind.PLATE, vrm), (None, None))
                if subject and (until is None or event.time < until):
                    tracks[subject, "vehicle", vrm].append(event)
            elif isinstance(event, OfficerSighting):
                self.sightings[event.data.subject_id].append(event)
            elif isinstance(event, BreachReport):
                self._report(event)
        for (subject, certainty, _), track in tracks.items():
            self.sightings[subject] += track
            for order in self.orders:
                if order.respondent.subject_id == subject:
                    self._visits(order, certainty, track)

    def _in_force(self, order_id: str, at: datetime) -> bool:
        begins, ends = self.spans[order_id]
        return begins <= at < ends

    def _report(self, event: BreachReport) -> None:
        data = event.data
        subject = data.subject_id
        if data.identifiers:
            subject = self.owner[data.identifiers[0].kind, data.identifiers[0].value][0]
        for order in self.orders:
            meant = order.order_id == data.order_id if data.order_id else order.respondent.subject_id == subject
            if meant and self._in_force(order.order_id, event.time):
                self.breaches.add(
                    (order.respondent.subject_id, order.order_id, "T2", "reported", event.time, event.time)
                )

    def _visits(self, order: object, certainty: str, track: list[Event]) -> None:
        area = order.terms[0].area
        visit, outs, previous = [], 0, None

        def close(ended: datetime | None) -> None:
            if visit and self._in_force(order.order_id, visit[0]):
                subject = order.respondent.subject_id
                self.breaches.add((subject, order.order_id, "T1", certainty, visit[0], ended))
            visit.clear()

        for event in track:
            at = event.data.position
            if visit and event.time - previous > GAP:
                close(visit[-1])
            previous = event.time
            rough = GEOD.inv(at.longitude, at.latitude, *self._corner(area))[2]
            depth = depth_m(area, at) if rough < 3000 else -1000.0
            # A tag that states no accuracy has the policy's 15 m, a camera 30.
            accuracy = at.accuracy_m or (15 if certainty == "confirmed" else 30)
            if abs(depth) < accuracy:
                continue
            self.least_margin = min(self.least_margin, abs(depth) - accuracy)
            if depth > 0:
                visit.append(event.time)
                outs = 0
            else:
                outs += 1
                if outs >= 3 and certainty == "confirmed":
                    close(visit[-1] if visit else None)
        if visit:
            over = certainty == "vehicle" and END - visit[-1] > GAP
            close(visit[-1] if over else None)

    @staticmethod
    def _corner(area: object) -> tuple[float, float]:
        if isinstance(area, Circle):
            return area.centre.longitude, area.centre.latitude
        return area.coordinates[0][0][0], area.coordinates[0][0][1]


def stated(simulated: SimulatedWorld) -> set[tuple[object, ...]]:
    return {
        (b.subject_id, b.order_id, b.term_id, b.certainty.value, b.began_at, b.ended_at)
        for b in simulated.truth.breaches
    }


# -- the truth ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", ["none", "low", "high"])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_independent_judge_finds_exactly_the_truth(noise: str, seed: int) -> None:
    simulated = world(noise, seed)
    events = events_of(simulated)
    judge = Judge(events)
    assert judge.breaches == stated(simulated)
    assert len(judge.breaches) == len(simulated.truth.breaches) > 100
    assert judge.least_margin >= 20
    kinds = {(b.certainty.value, b.ended_at is None) for b in simulated.truth.breaches}
    assert {("confirmed", False), ("confirmed", True), ("vehicle", False), ("reported", False)} <= kinds
    for subject_id, last in simulated.truth.last_seen.items():
        newest = max(judge.sightings[subject_id], key=lambda event: event.time)
        assert (last.event_id, last.time, last.position) == (newest.event_id, newest.time, newest.data.position)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    hours=st.floats(1.5, 30),
    orders=st.integers(4, 16),
    noise=st.sampled_from(["none", "high"]),
)
def test_any_world_has_the_truth_that_its_events_show(seed: int, hours: float, orders: int, noise: str) -> None:
    simulated = simulate(
        WorldConfig(end=END, seed=seed, hours=hours, orders=orders, subjects=4, noise=Noise.level(noise), **BUSY)
    )
    assert Judge(events_of(simulated)).breaches == stated(simulated)


def test_noise_does_not_change_the_truth() -> None:
    quiet, loud = world("none").truth, world("high").truth
    assert quiet.breaches == loud.breaches
    assert [(t.subject_id, t.state, t.breaches) for t in quiet.tasks] == [
        (t.subject_id, t.state, t.breaches) for t in loud.tasks
    ]
    assert {key: seen.event_id for key, seen in quiet.last_seen.items()} == {
        key: seen.event_id for key, seen in loud.last_seen.items()
    }


def test_tasks_hold_each_breach_once_and_split_at_arrests() -> None:
    simulated = world("high")
    truth = simulated.truth
    assert sorted(b for task in truth.tasks for b in task.breaches) == sorted(b.breach for b in truth.breaches)
    arrests = defaultdict(set)
    for event in events_of(simulated):
        if isinstance(event, CustodyEvent) and event.data.state == "arrested":
            arrests[event.data.subject_id].add(event.time)
    by_name = {breach.breach: breach for breach in truth.breaches}
    half = timedelta(minutes=30)
    for breach in truth.breaches:
        for at in arrests[breach.subject_id]:
            assert not breach.began_at - half < at < (breach.ended_at or END) + half
    states = defaultdict(list)
    for task in truth.tasks:
        states[task.subject_id].append(task.state.value)
        begins = [by_name[name].began_at for name in task.breaches]
        assert not any(min(begins) < at < max(begins) for at in arrests[task.subject_id])
        assert (task.last_seen is not None) == (task.state.value == "open")
    assert ["arrested", "open"] in states.values()
    assert all(found.count("open") <= 1 for found in states.values())


def test_visits_that_only_silence_ended_are_marked() -> None:
    simulated = world("none")
    judge = Judge(events_of(simulated))
    for breach in simulated.truth.breaches:
        reads = [e.time for e in judge.sightings[breach.subject_id] if isinstance(e, PlateRead)]
        silent = breach.certainty.value == "vehicle" and breach.ended_at is not None and breach.ended_at == max(reads)
        assert breach.by_silence == silent
    assert any(breach.by_silence for breach in simulated.truth.breaches)


def test_traps_are_in_the_traffic_and_open_no_breach() -> None:
    simulated = world("high")
    sent = {decode(m.topic, m.encoded()).event_id for m in simulated.events if not isinstance(m.value, bytes | None)}
    assert set(simulated.truth.traps) <= sent
    assert len(set(simulated.truth.traps.values())) == 5
    assert not {breach.opened_by for breach in simulated.truth.breaches} & set(simulated.truth.traps)


# -- reproducible ------------------------------------------------------------------------------------------


def test_the_same_configuration_gives_the_same_messages() -> None:
    config = world("high").config
    again, first = simulate(config), world("high")
    assert [e.encoded() for e in again.events] == [e.encoded() for e in first.events]
    assert (again.sent_at, again.truth) == (first.sent_at, first.truth)


def test_another_seed_shares_no_id() -> None:
    def ids(seed: int) -> set[str]:
        return {event.event_id for event in events_of(world("none", seed))}

    assert not ids(1) & ids(2)


# -- each kind of noise ------------------------------------------------------------------------------------


def test_the_quiet_world_sends_in_the_order_of_recording() -> None:
    simulated = world("none")
    recorded = [m.value.recordedtime for m in simulated.events if isinstance(m.value, Event)]
    assert recorded == sorted(recorded)
    assert simulated.sent_at == sorted(simulated.sent_at)
    assert len(events_of(simulated)) == len(simulated.events)


def test_duplicates_are_the_same_bytes() -> None:
    copies = defaultdict(set)
    count = defaultdict(int)
    for message in world("high").events:
        if isinstance(message.value, Event):
            copies[message.value.event_id].add((message.topic, message.key, message.encoded()))
            count[message.value.event_id] += 1
    assert max(count.values()) == 2
    assert all(len(found) == 1 for found in copies.values())


def test_future_fixes_are_quarantined_and_hours_ahead() -> None:
    simulated = world("high")
    ahead = {m.value.event_id: m.value for m in simulated.events if isinstance(m.value, Event) and m.value.time > END}
    assert set(ahead) == set(simulated.truth.quarantined)
    assert len(ahead) == 10
    assert all(event.time - END >= timedelta(hours=2) for event in ahead.values())


def test_bad_messages_are_refused_for_the_stated_reason() -> None:
    simulated = world("high")
    found = []
    for message, reason in simulated.bad:
        with pytest.raises(BadMessageError) as caught:
            decode(message.topic, message.encoded())
        assert caught.value.reason == reason
        found.append((message.topic, hashlib.sha256(message.encoded() or b"").hexdigest(), reason))
    assert found == [(d.topic, d.sha256, d.reason) for d in simulated.truth.dead_letters]
    assert len({reason for _, _, reason in found}) >= 9


def test_some_orders_come_late_and_never_after_a_read_that_would_be_lost() -> None:
    simulated = simulate(
        WorldConfig(
            end=END,
            orders=60,
            subjects=60,
            new_order_share=0,
            plate_visits=0.2,
            visits=3,
            noise=Noise(late_orders=1.0, disorder_minutes=5),
        )
    )
    first = {}
    for breach in simulated.truth.breaches:
        first.setdefault(breach.subject_id, breach.began_at)
    there = {}
    late = 0
    for at, message in zip(simulated.sent_at, simulated.events, strict=True):
        if isinstance(message.value, Order):
            subject_id = message.value.data.respondent.subject_id
            for identifier in message.value.data.identifiers:
                there[identifier.value] = at
            if at > simulated.config.start:
                late += 1
                assert timedelta(0) < at - first[subject_id] <= timedelta(minutes=56)
    assert late > 10
    for event in events_of(simulated):
        if isinstance(event, PlateRead) and event.data.vrm in there:
            assert event.time >= there[event.data.vrm]


def test_misreads_swap_o_and_0_or_name_nobody() -> None:
    simulated = world("high")
    plates = {i.value for e in events_of(simulated) if isinstance(e, Order) for i in e.data.identifiers}
    reads = [e for e in events_of(simulated) if isinstance(e, PlateRead)]
    swapped = [e for e in reads if e.data.vrm not in plates and canonical(e.data.vrm) in plates]
    misread = [e for e in reads if simulated.truth.traps.get(e.event_id, "").startswith("a misread")]
    assert swapped
    assert misread
    assert not any(canonical(e.data.vrm) in plates for e in misread)


def test_no_two_moves_are_faster_than_a_car() -> None:
    tracks = defaultdict(list)
    for event in events_of(world("high")):
        if isinstance(event, TagFix) and event.data.position and event.data.position.usable:
            tracks[event.data.device_id].append(event)
    for track in tracks.values():
        for a, b in pairwise(track):
            seconds = (b.time - a.time).total_seconds()
            p, q = a.data.position, b.data.position
            metres = GEOD.inv(p.longitude, p.latitude, q.longitude, q.latitude)[2]
            assert metres <= 50 + 60 + 40 * seconds


# -- names and places --------------------------------------------------------------------------------------


def test_identifiers_have_their_formats() -> None:
    for event in events_of(world()):
        if not isinstance(event, Order):
            continue
        data = event.data
        assert re.fullmatch(r"SPO-2026-[0-9A-F]{8}-\d{5}", data.order_id)
        assert data.respondent.subject_id.startswith("SUBJ-")
        for identifier in data.identifiers:
            pattern = {"plate": r"[A-Z]{2}\d{2}[A-Z]{3}", "tag": r"TAG-\d{9}", "phone": r"\+\d{11,12}"}
            assert re.fullmatch(pattern[identifier.kind], identifier.value)


def test_every_order_is_served() -> None:
    events = events_of(world())
    apart = {event.data.order_id for event in events if isinstance(event, OrderServed)}
    orders = [event.data for event in events if isinstance(event, Order)]
    assert all((order.service is None) == (order.order_id in apart) for order in orders)
    assert apart


def test_secrets_are_distinct_and_stand_in_no_key() -> None:
    simulated = world("high")
    secrets = simulated.truth.secrets
    for values in ([s.name for s in secrets], [s.address for s in secrets], [s.phone for s in secrets]):
        assert len(set(values)) == len(values)
    keys = "\n".join(message.key or "" for message in simulated.events)
    assert not [s for s in secrets if s.name in keys or s.address in keys or s.phone in keys]


def test_people_never_run_out() -> None:
    found = names.victims(Random(1))
    drawn = [next(found) for _ in range(5000)]
    assert len(set(drawn)) == 5000
    numbers = names.phones(Random(1))
    assert len({next(numbers) for _ in range(20_000)}) == 20_000


@given(st.integers(0, 2**32))
def test_zones_keep_what_they_promise(seed: int) -> None:
    site = make_site(Random(seed), (52.0, -1.0))
    for bearing in range(0, 360, 15):
        assert site.inner_m - 0.01 <= site.edge_m(bearing) <= site.outer_m + 0.01
        lon, lat, _ = GEOD.fwd(-1.0, 52.0, bearing, site.edge_m(bearing))
        assert abs(depth_m(site.area, Position(latitude=lat, longitude=lon))) < 0.5
    assert 100 < site.inner_m <= site.outer_m <= 800


# -- files and the command ---------------------------------------------------------------------------------


def test_files_hold_every_message_in_order(tmp_path: Path) -> None:
    simulated = world("high", hours=6)
    (tmp_path / "notes.jsonl").write_text("mine")
    write(simulated, tmp_path)
    rows = [orjson.loads(row) for row in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert len(rows) == len(simulated.events)
    for row, message in zip(rows, simulated.events, strict=True):
        assert (row["topic"], row["key"]) == (message.topic, message.key)
        if "value" in row:
            assert orjson.loads(message.encoded()) == row["value"]
        else:
            raw = row["value_b64"]
            assert (None if raw is None else base64.b64decode(raw)) == message.encoded()
    for event in (tmp_path / "sightings.jsonl").read_text().splitlines():
        decode("sightings", event.encode())
    assert orjson.loads((tmp_path / "truth.json").read_bytes())["breaches"]
    assert len((tmp_path / "bad-messages.jsonl").read_text().splitlines()) == 30
    assert (tmp_path / "notes.jsonl").read_text() == "mine"


def test_options_become_a_configuration() -> None:
    config = configure({"orders": 5, "noise": "high", "duplicates": 0.0, "reads_per_second": 2.0}, END)
    assert (config.end, config.orders, config.reads_per_second) == (END, 5, 2.0)
    assert (config.noise.duplicates, config.noise.drift_m) == (0.0, 10)


def test_an_old_world_is_published_without_a_future_that_has_passed() -> None:
    given_end = {"end": END, "noise": "high", "send": True}
    assert configure(given_end, END + timedelta(hours=3)).noise.future_fixes == 0
    assert configure(given_end, END).noise.future_fixes == 10


@pytest.mark.parametrize(
    "wrong", [{"orders": 3, "subjects": 9}, {"hours": 0.1}, {"noise": "loud"}, {"misreads": 2.0}]
)
def test_wrong_options_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(BreachwatchError, match=next(iter(wrong))):
        configure(wrong, END)


def test_invented_events_do_not_reach_production() -> None:
    with pytest.raises(PublishError, match="--exercise"):
        publish(world("none", hours=6), Settings(environment="production"))


def test_an_exercise_marks_every_event() -> None:
    config = world("none", hours=6).config.model_copy(update={"exercise": True})
    assert all(event.exercise for event in events_of(simulate(config)))


def test_the_command_needs_somewhere_to_write() -> None:
    app = typer.Typer()
    app.command()(command)
    assert isinstance(CliRunner().invoke(app, []).exception, BreachwatchError)


def test_the_command_writes(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, ["--orders", "5", "--hours", "3", "--seed", "7", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "breaches in" in done.output
    assert (tmp_path / "truth.json").exists()
