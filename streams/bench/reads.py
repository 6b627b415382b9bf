"""Plate reads and plates for the bench: invented, of the length and shape that cameras send."""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from schemas.orders import IdentifierKind, IdentifierRecord, Role
from streams.bench.events import event

_LETTERS = "ABCDEFGHJKLMNOPRSTUVWXYZ"


def plates(random: Random) -> Iterator[str]:
    """Plates of the current format, AA99 AAA."""
    while True:
        front, back = (random.choices(_LETTERS, k=count) for count in (2, 3))
        yield f"{''.join(front)}{random.randrange(2, 76):02d} {''.join(back)}"


def read(plate: str, number: int, at: datetime, random: Random) -> bytes:
    """The JSON of one read, about 500 bytes."""
    data = {
        "vrm": plate,
        "camera_id": f"CAM-{random.randrange(13_000):05d}-{random.choice('NESW')}",
        "position": {
            "latitude": round(random.uniform(50.0, 58.0), 6),
            "longitude": round(random.uniform(-5.0, 1.5), 6),
            "accuracy_m": 25.0,
        },
        "confidence": round(random.uniform(0.7, 1.0), 3),
        "force": "Norfolk Constabulary",
        "direction": random.choice(("approaching", "receding")),
        "lane": random.randrange(1, 4),
    }
    trace = f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-01"
    name = f"{random.getrandbits(128):032x}-{number}"
    more = {"schemaversion": 1, "exercise": False, "traceparent": trace}
    return event("plate_read", name, at, "anpr/national", data, **more)


def reads(count: int, known: list[str], share_known: float, random: Random) -> Iterator[bytes]:
    """So many reads of cars on no order, and a share of cars on one."""
    at, strangers = datetime.now(UTC), plates(random)
    for number in range(count):
        plate = random.choice(known) if random.random() < share_known else next(strangers)
        yield read(plate, number, at, random)


def identifiers(orders: int, random: Random) -> Iterator[IdentifierRecord]:
    """Two plates for each of so many orders."""
    found = plates(random)
    for number in range(orders):
        for _ in range(2):
            yield IdentifierRecord(
                kind=IdentifierKind.PLATE,
                value=next(found),
                subject_id=f"SUBJ-{number:06}",
                role=Role.SUBJECT,
                order_id=f"ORDER-{number:06}",
            )
