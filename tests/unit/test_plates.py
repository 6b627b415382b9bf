"""Number plates: one spelling each, and what cameras confuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.plates import MIN_PARTIAL, bare, canonical, dropped, skeleton


@pytest.mark.parametrize(
    ("read", "plate"),
    [
        ("BD15 DLO", "BD15DLO"),
        ("bd15dlo", "BD15DLO"),
        ("B.D-15 DLO", "BD15DLO"),
        ("BDI5DLO", "BD15DLO"),  # openalpr: 1 read as I where only a digit can stand
        ("BD15DL0", "BD15DLO"),
        ("B015DLO", "BO15DLO"),
        ("A1 ABC", "A1ABC"),
        ("AI2ABC", "A12ABC"),
        ("ABC 1I1A", "ABC111A"),
        ("ABC 123A", "ABC123A"),
        ("1D1234", "1D1234"),  # dateless, diplomatic, Northern Irish and foreign ones stay as they were read
        ("AZ 1234", "AZ1234"),
        ("123 D 456", "123D456"),
        ("", ""),
        ("?", "?"),
    ],
)
def test_one_spelling_for_each_plate(read: str, plate: str) -> None:
    assert canonical(read) == plate


@pytest.mark.parametrize("other", ["8D15DLO", "BO15DLO", "BDI5OLO", "BD1SDLO", "B0 15 QLO"])
def test_look_alikes_share_a_skeleton(other: str) -> None:
    assert skeleton(other) == skeleton("BD15DLO")


@pytest.mark.parametrize("other", ["BD16DLO", "BD15DLA", "XD15DLO", "BD15DL"])
def test_others_do_not(other: str) -> None:
    assert skeleton(other) != skeleton("BD15DLO")


def test_a_read_that_lost_a_character() -> None:
    assert "BD15LO" in dropped("BD15DLO")
    assert len(dropped("BD15DLO")) == 7
    assert dropped("A1AB") == set()  # what is left could be anybody's
    assert all(len(read) >= MIN_PARTIAL for read in dropped("A1ABCD"))


@given(st.text("ABCDO0I1258SZQ -.", max_size=9))
def test_spelling_is_idempotent_and_keeps_the_skeleton(read: str) -> None:
    assert canonical(canonical(read)) == canonical(read)
    assert skeleton(canonical(read)) == skeleton(read)
    assert bare(read) == bare(bare(read).lower())


@given(st.text(max_size=12) | st.text("AB01 .-\t\x1f_abß", max_size=12))
def test_a_skeleton_made_in_one_step_is_that_made_in_several(read: str) -> None:
    """Letters that are not ASCII take the long way; `I` without a dot and `ß` change when they become upper case."""
    confused = str.maketrans({"0": "O", "D": "O", "Q": "O", "1": "I", "8": "B", "5": "S", "2": "Z"})
    assert skeleton(read) == bare(read).translate(confused)
