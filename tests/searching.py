"""What must not be found in any output, and the search for it."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from schemas.orders import Order, Role
from streams.simulator import Noise, SimulatedWorld, WorldConfig, simulate

END = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


def coordinates(area: Any) -> Iterator[float]:
    """Every number of an area's geometry, without the radius."""
    if isinstance(area, dict):
        for name, value in area.items():
            if name not in ("radius_m", "half_width_m", "accuracy_m"):
                yield from coordinates(value)
    elif isinstance(area, list | tuple):
        for value in area:
            yield from coordinates(value)
    elif isinstance(area, float):
        yield area


def _spellings(text: str) -> set[str]:
    """As it stands, and as it would stand in a URL, in JSON, in hex, and without its spaces."""
    return {text, text.replace(" ", "+"), text.replace(" ", "%20"), text.replace(" ", ""), text.encode().hex()}


def secrets_of(world: SimulatedWorld) -> set[str]:
    """Names, addresses, telephone numbers and plates of protected persons, and the coordinates of zones."""
    stated = {text for s in world.truth.secrets for text in (s.name, s.address, s.phone)}
    places: set[str] = set()
    for event in world.events:
        if not isinstance(event.value, Order):
            continue
        data = event.value.data
        stated |= {i.value for i in data.identifiers if i.role is Role.PROTECTED_PERSON}
        stated |= {term.text for term in data.terms if term.text}
        for term in data.terms:
            if hasattr(term, "area"):
                places |= {repr(number) for number in coordinates(term.area.model_dump(mode="json"))}
    found = {spelling for text in stated for spelling in _spellings(text)} | {p for p in places if len(p) > 6}
    assert len(found) > 500, "the world has secrets"
    return found


# Degrees: whole numbers only, since the position of somebody else may begin with the digits of one.
_NUMBER = re.compile(r"-?\d+\.\d+")


class Search:
    """Looks for any of many texts, whatever their case."""

    def __init__(self, secrets: Iterable[str]) -> None:
        told = {secret.lower() for secret in secrets}
        self._numbers = {secret for secret in told if _NUMBER.fullmatch(secret)}
        self._texts = told - self._numbers
        self.searched = 0
        """Characters."""

    def found_in(self, text: str | bytes) -> list[str]:
        shown = (text if isinstance(text, str) else text.decode("utf-8", "replace")).lower()
        self.searched += len(shown)
        numbers = self._numbers & set(_NUMBER.findall(shown))
        return sorted([*(secret for secret in self._texts if secret in shown), *numbers])

    def none_in(self, what: str, texts: Iterable[str | bytes]) -> None:
        kept = [text if isinstance(text, str) else text.decode("utf-8", "replace") for text in texts]
        if self.found_in("\n".join(kept)):
            raise AssertionError(
                [f"{what}: {self.found_in(text)} in {text[:300]}" for text in kept if self.found_in(text)]
            )


def noisy_world(noise: Noise, *, end: datetime = END, hours: float = 12, orders: int = 60) -> SimulatedWorld:
    config = WorldConfig(end=end, hours=hours, orders=orders, noise=noise, reads_per_second=0.01, seed=43)
    return simulate(config)
