"""Invented people, addresses, telephone numbers and number plates: distinct in one world, nobody's outside it."""

from collections.abc import Iterator
from random import Random


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "Ada Amira Beth Bronwen Carys Chloe Dinah Edith Elsie Farah Freya Grace Hana Imogen Iris Jasmin Joan Kezia "
    "Leila Lowri Mabel Maya Nadia Nerys Olive Orla Petra Priya Rhian Rosa Ruth Saffron Sian Tamsin Thea Una Vera "
    "Wren Yasmin Zara"
)
_MALE = _words(
    "Adam Alun Barney Callum Dafydd Dean Ewan Felix Gareth Gavin Harvey Idris Jared Karl Lewis Marcus Neil Owen "
    "Piers Rafe Ross Seth Trent Umar Victor Wayne Xander Yusuf Zach"
)
_LAST = _words(
    "Abernethy Ashdown Birtles Blackmore Carrow Clegghorn Dunmore Eastlake Fairholm Fennimore Garstang Greatorex "
    "Hathersage Holloway Inglethorpe Jessop Kettlewell Larkspur Lindwood Marchbank Merrow Netherby Oakshott "
    "Penhallow Pickersgill Quillfeather Ravenscar Rushworth Saltmarsh Silverdale Thistlewood Tregarth Underhay "
    "Vantongeren Wetherall Winterburn Yardley Yelverton"
)
_STREETS = _words(
    "Alder Ash Beech Birch Cedar Elm Hawthorn Hazel Holly Juniper Larch Linden Maple Oak Poplar Rowan Spruce Willow"
)
_WAYS = ("Road", "Street", "Avenue", "Close", "Lane", "Gardens", "Terrace")
# Ranges that Ofcom keeps free for drama: a number here can never ring anybody.
_DRAMA = (
    "+447700900", "+441632960", "+441134960", "+441144960", "+441154960", "+441164960", "+441174960",
    "+441184960", "+441214960", "+441314960", "+441414960", "+441514960", "+441614960", "+442079460",
    "+441914980", "+442896496", "+442920180", "+443069990",
)  # fmt: skip
# Codes of the current format have no I, Q or Z, and the last three letters no I or Q.
_AREA = "ABCDEFGHJKLMNOPRSTUVWXY"
_SERIAL = "ABCDEFGHJKLMNOPRSTUVWXYZ"
_AGES = [f"{age:02}" for age in (*range(2, 27), *range(51, 77))]


def _names(rng: Random, given: list[str]) -> Iterator[str]:
    pairs = [(first, last) for first in given for last in _LAST]
    rng.shuffle(pairs)
    yield from (f"{first} {last}" for first, last in pairs)
    while True:  # a large world: double-barrelled names, numbered as long as it takes
        for number in range(1, 10_000):
            for first, last in pairs:
                yield f"{first} {last}-{rng.choice(_LAST)} {number}"


def victims(rng: Random) -> Iterator[str]:
    """Names of protected persons, none twice."""
    return _names(rng, _FIRST)


def respondents(rng: Random) -> Iterator[str]:
    """Names of subjects, none twice and none a protected person's."""
    return _names(rng, _MALE)


def addresses(rng: Random, town: str, number: int) -> str:
    """An address; `number` keeps it distinct. ZZ99 is the postcode district of no place."""
    street = f"{rng.choice(_STREETS)} {rng.choice(_WAYS)}"
    return f"{number} {street}, {town}, ZZ99 {rng.randrange(10)}{rng.choice('ABDEFGHJLN')}{rng.choice('PQRSTUWXYZ')}"


def phones(rng: Random) -> Iterator[str]:
    """E.164 numbers, none twice; beyond the drama ranges in +999, which is assigned to no country."""
    numbers = [f"{prefix}{last:03}" for prefix in _DRAMA for last in range(1000)]
    rng.shuffle(numbers)
    yield from numbers
    yield from (f"+999{number:08}" for number in range(100_000_000))


def plate(rng: Random) -> str:
    """A plate of the current format, AA99AAA."""
    area = rng.choice(_AREA) + rng.choice(_AREA)
    return area + rng.choice(_AGES) + "".join(rng.choice(_SERIAL) for _ in range(3))


def _masks(vrm: str) -> list[str]:
    """The plate with each of its characters left open: two plates that share one differ in at most that."""
    return [f"{vrm[:i]}?{vrm[i + 1 :]}" for i in range(len(vrm))]


class Plates:
    """The plates on orders. Any two plates that it gives out differ in two characters or more, and so does
    other traffic from each of them: a likeness never comes about by chance."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()

    def draw(self) -> str:
        """A plate for an order."""
        while True:
            vrm = plate(self._rng)
            if self.is_far(vrm):
                self._taken.update(_masks(vrm))
                return vrm

    def is_far(self, vrm: str) -> bool:
        """Does `vrm` differ from each plate on an order in at least two characters?"""
        return self._taken.isdisjoint(_masks(vrm))

    def is_far_but_from(self, vrm: str, own: str) -> bool:
        """As `is_far`, with its likeness to `own` aside."""
        return all(mask not in self._taken or mask in _masks(own) for mask in _masks(vrm))


# Characters that cameras and people take for one another; a misread that stays inside a group may rightly be
# shown to a person as a look-alike, so it is not one of ours.
_ALIKE = ("0ODQCGU", "1IJLT7", "2Z7", "5S", "6G8", "3B8EPRF", "4A", "VYUWX", "MNHWKX", "9GP", "EF")


def misread(rng: Random, vrm: str) -> str:
    """`vrm` with one character read as another that does not look like it, of the same class."""
    position = rng.randrange(len(vrm))
    right = vrm[position]
    near = {c for group in _ALIKE if right in group for c in group} | {right}
    wrong = [c for c in ("0123456789" if right.isdigit() else _SERIAL) if c not in near]
    return f"{vrm[:position]}{rng.choice(wrong)}{vrm[position + 1 :]}"


def swap_o(rng: Random, vrm: str) -> str | None:
    """`vrm` with one O read as 0 or one 0 as O: by position the same plate. None if it has neither."""
    positions = [i for i, c in enumerate(vrm) if c in "O0"]
    if not positions:
        return None
    i = rng.choice(positions)
    return f"{vrm[:i]}{'0' if vrm[i] == 'O' else 'O'}{vrm[i + 1 :]}"
