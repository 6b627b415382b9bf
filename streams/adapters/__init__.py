"""Formats that are out there already, as events of ours: one module for each product, pure functions."""

from streams.adapters import owntracks, plate_recognizer, traccar
from streams.adapters.translated import Translate

FORMATS: dict[str, Translate] = {
    "traccar": traccar.translate,
    "plate-recognizer": plate_recognizer.translate,
    "owntracks": owntracks.translate,
}
"""Name of the format -> what makes events of a raw message."""
