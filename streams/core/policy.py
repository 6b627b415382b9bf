"""The policy: every number that a force may set, validated and versioned; the default is `policy.toml`."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.tasks import Certainty
from streams.errors import BreachwatchError

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
RISKS = ("standard", "medium", "high")
Points = Annotated[int, Field(ge=-100, le=100)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Visits(_Section):
    """When fixes become a visit to a zone, and when the visit is over."""

    enter_fixes: Annotated[int, Field(ge=1, le=20)]
    leave_fixes: Annotated[int, Field(ge=1, le=20)]
    possible_fixes: Annotated[int, Field(ge=1, le=20)]
    gap_s: Seconds


class Limits(_Section):
    """How old, or how far ahead of us, an event may be."""

    horizon_s: Seconds
    stale_after_s: Seconds
    future_tolerance_s: Seconds
    last_seen_interval_s: Seconds
    requirement_grace_s: Seconds


class Evidence(_Section):
    """When positions contradict each other, or say nothing."""

    max_speed_mps: Seconds
    clock_slack_s: Seconds
    conflict_window_s: Seconds
    partner_window_s: Seconds
    silence_s: Seconds
    face_keep_s: Seconds


class Accuracy(_Section):
    """Metres taken where a position does not state its own accuracy."""

    tag_m: Seconds
    camera_m: Seconds
    officer_m: Seconds


class Scores(_Section):
    """Points by what was breached, how sure we are, and who is involved."""

    term: dict[str, Points]
    certainty: dict[str, Points]
    risk: dict[str, Points]
    marker: dict[str, Points]
    near_protected: Points
    repeat: Points
    fresh: Points
    stale: Points

    @model_validator(mode="after")
    def _complete(self) -> "Scores":
        """What prioritising looks up must be there; other kinds of term and markers may be left out."""
        for name, table, needed in (
            ("term", self.term, ["unspecified"]),
            ("certainty", self.certainty, [str(certainty) for certainty in Certainty]),
            ("risk", self.risk, [*RISKS, "unknown"]),
        ):
            missing = [key for key in needed if key not in table]
            if missing:
                raise ValueError(f"{name} has no points for {', '.join(missing)}")
        if self.risk["unknown"] < self.risk["high"]:
            raise ValueError("risk.unknown is less than risk.high: a risk that nobody has assessed counts as high")
        return self


class Grade(_Section):
    """A grade of response: taken from `at_least` points, to be acted on within `respond_within_s`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,20}$")]
    at_least: int
    respond_within_s: Seconds


class Policy(_Section):
    """One version of a force's policy."""

    version: Annotated[str, Field(min_length=1, max_length=40)]
    visits: Visits
    limits: Limits
    evidence: Evidence
    accuracy: Accuracy
    scores: Scores
    grades: Annotated[list[Grade], Field(min_length=1, max_length=5)]

    @model_validator(mode="after")
    def _grades_descend(self) -> "Policy":
        floors = [grade.at_least for grade in self.grades]
        if floors != sorted(floors, reverse=True) or len(set(floors)) != len(floors):
            raise ValueError("grades must be listed from the highest at_least down, none twice")
        if len({grade.name for grade in self.grades}) != len(self.grades):
            raise ValueError("two grades have the same name")
        return self

    def grade_for(self, score: int) -> Grade:
        """The first grade whose floor the score reaches; the last grade takes the rest."""
        return next((grade for grade in self.grades if score >= grade.at_least), self.grades[-1])


def load_policy(path: Path | None = None) -> Policy:
    """The policy in a TOML file; None means the default that is shipped.

    Raises BreachwatchError naming the file and each wrong field.
    """
    path = path or Path(__file__).with_name("policy.toml")
    try:
        return Policy.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BreachwatchError(f"policy {path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BreachwatchError(f"policy {path}: not TOML: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'policy'}: {item['msg']}" for item in error.errors())
        raise BreachwatchError(f"policy {path}: {wrong}") from None
