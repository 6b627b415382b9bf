"""Where cameras stand, for formats whose reads do not say it: a CSV file of `camera_id,latitude,longitude`."""

import csv
from pathlib import Path

from streams.errors import BreachwatchError

COLUMNS = ("camera_id", "latitude", "longitude")


def read_cameras(file: Path | None) -> dict[str, tuple[float, float]]:
    """Camera -> degrees, WGS84; none without a file. Raises BreachwatchError that names the line."""
    if file is None:
        return {}
    found: dict[str, tuple[float, float]] = {}
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = csv.DictReader(text)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise BreachwatchError(f"{file}: its first line must name the columns {', '.join(COLUMNS)}")
            for row in rows:
                found[row["camera_id"].strip()] = _place(row)
    except OSError as error:
        raise BreachwatchError(f"{file}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError, csv.Error, UnicodeDecodeError):
        raise BreachwatchError(
            f"{file}: line {len(found) + 2} has no camera_id, or no latitude and longitude in degrees"
        ) from None
    return found


def _place(row: dict[str, str]) -> tuple[float, float]:
    latitude, longitude = float(row["latitude"]), float(row["longitude"])
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError
    return latitude, longitude
