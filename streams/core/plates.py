"""Number plates of the United Kingdom: one spelling for each plate, and look-alikes of a misread.

O and 0, I and 1 are one glyph in the prescribed font, so the position in the plate's format says which is
meant: `BDI5DLO` is BD15 DLO. Other confusions (8/B, 5/S, 2/Z, D/0) are look-alikes, for a person to check.
Formats: current AA99 AAA (since 2001), prefix A999 AAA (1983 to 2001), suffix AAA 999A (1963 to 1983); other
formats (dateless, Northern Ireland, diplomatic, foreign) keep the spelling that was read.
"""

import re

_SEPARATORS = re.compile(r"[\s.\-]+")
_ASCII_SEPARATORS = "\t\n\v\f\r\x1c\x1d\x1e\x1f .-"
_LETTER = {"0": "O", "1": "I"}
_DIGIT = {"O": "0", "I": "1"}
_SHAPES = [
    "AA99AAA",
    *(f"A{'9' * digits}AAA" for digits in (1, 2, 3)),
    *(f"AAA{'9' * digits}A" for digits in (1, 2, 3)),
]
# A part of this length or more is worth a person's look; a shorter one could be anybody's.
MIN_PARTIAL = 5
_LOOK_ALIKES = {"0": "O", "D": "O", "Q": "O", "1": "I", "8": "B", "5": "S", "2": "Z"}
_LOOK_ALIKE = str.maketrans(_LOOK_ALIKES)
# The same with case and separators in one step, for what is looked up five thousand times a second.
_ASCII_LOOK_ALIKE = str.maketrans(
    {
        **{chr(code): _LOOK_ALIKES.get(chr(code).upper(), chr(code).upper()) for code in range(128)},
        **dict.fromkeys(_ASCII_SEPARATORS, ""),
    }
)


def bare(vrm: str) -> str:
    """Upper case, without spaces, dots and hyphens."""
    return _SEPARATORS.sub("", vrm).upper()


def canonical(vrm: str) -> str:
    """The plate as its format spells it; as it was read where no format fits."""
    plate = bare(vrm)
    for shape in _SHAPES:
        if len(shape) == len(plate):
            spelt = "".join(
                (_LETTER if kind == "A" else _DIGIT).get(char, char) for char, kind in zip(plate, shape, strict=True)
            )
            if all(
                char.isalpha() if kind == "A" else char.isdigit() for char, kind in zip(spelt, shape, strict=True)
            ):
                return spelt
    return plate


def skeleton(vrm: str) -> str:
    """What plates that cameras confuse have in common."""
    return vrm.translate(_ASCII_LOOK_ALIKE) if vrm.isascii() else bare(vrm).translate(_LOOK_ALIKE)


def dropped(plate: str) -> set[str]:
    """The plate with each character missing in turn: what a read that lost one looks like."""
    shorter = {plate[:index] + plate[index + 1 :] for index in range(len(plate))}
    return {read for read in shorter if len(read) >= MIN_PARTIAL}


def readings(vrm: str) -> set[str]:
    """The skeletons of what a camera may make of the plate: characters confused, or one lost."""
    return {skeleton(vrm), *dropped(skeleton(vrm))}
