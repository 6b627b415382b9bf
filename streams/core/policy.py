"""The policy: every number that a force may set, validated and versioned; the default is `policy.toml`."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.tasks import Certainty
from streams.toml_file import read_toml

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
    heartbeat_grace_s: Seconds


class Evidence(_Section):
    """When positions contradict each other, or say nothing."""

    max_speed_mps: Seconds
    clock_slack_s: Seconds
    conflict_window_s: Seconds
    partner_window_s: Seconds
    silence_s: Seconds
    face_keep_s: Seconds


class RetroSearch(_Section):
    """When retained plate reads are searched for an order that was known late."""

    propose_after_s: Seconds
    propose_within_s: Seconds
    automatic: bool
    authority: Annotated[str, Field(max_length=200)]
    """What authorises an automatic search; asked for where that is on."""

    @model_validator(mode="after")
    def _authorised(self) -> "RetroSearch":
        if self.automatic and not self.authority:
            raise ValueError("automatic searches need an authority")
        return self


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


Step = Literal["controller", "supervisor", "duty_inspector", "neighbouring_force"]
STEPS: tuple[Step, ...] = get_args(Step)
"""Who is told that nobody acts, one after the other; the first is a reminder to those who have the task."""


class Ladder(_Section):
    """How a task gets louder while it waits for a person, and when it waits again though somebody had begun."""

    escalate_after_s: Annotated[dict[Step, Seconds], Field(min_length=1)]
    """Seconds from when it began to wait; a step that is left out is not taken."""
    repeat_every_s: Seconds
    """After the last step it is told again, this often, for as long as nobody acts."""
    lapse_after_s: dict[Literal["acknowledged", "assigned", "en_route", "attempted"], Seconds]
    """In this state for so long without a further step: what was begun has lapsed, and the task waits again."""

    @model_validator(mode="after")
    def _climbs(self) -> "Ladder":
        times = [self.escalate_after_s[step] for step in STEPS if step in self.escalate_after_s]
        if times != sorted(set(times)):
            raise ValueError(f"escalate_after_s must rise in the order {', '.join(STEPS)}")
        return self

    @property
    def steps(self) -> list[tuple[Step, float]]:
        return [(step, self.escalate_after_s[step]) for step in STEPS if step in self.escalate_after_s]


class Grade(Ladder):
    """A grade of response: taken from `at_least` points, to be attended within `respond_within_s`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,20}$")]
    at_least: int
    respond_within_s: Seconds
    respond_within_rural_s: Seconds
    """In the country, as `places` has it."""

    @model_validator(mode="after")
    def _whole(self) -> "Grade":
        if self.respond_within_rural_s < self.respond_within_s:
            raise ValueError("respond_within_rural_s is shorter than respond_within_s")
        missing = {"acknowledged", "assigned", "en_route", "attempted"} - self.lapse_after_s.keys()
        if missing:
            raise ValueError(f"lapse_after_s lacks {', '.join(sorted(missing))}")
        return self


class Safeguarding(Ladder):
    """By when the protected person must have been spoken to, by what happened."""

    within_s: dict[Literal["breach", "correction", "arrest", "release", "escape", "tag_failed"], Seconds]

    @model_validator(mode="after")
    def _whole(self) -> "Safeguarding":
        missing = {"breach", "correction", "arrest", "release", "escape", "tag_failed"} - self.within_s.keys()
        if missing:
            raise ValueError(f"within_s lacks {', '.join(sorted(missing))}")
        missing = {"acknowledged", "assigned"} - self.lapse_after_s.keys()
        if missing:
            raise ValueError(f"lapse_after_s lacks {', '.join(sorted(missing))}")
        return self


class Places(_Section):
    """What tells a town from the country."""

    urban_population: Annotated[int, Field(gt=0)]
    urban_within_m: Annotated[float, Field(gt=0)]


class Policy(_Section):
    """One version of a force's policy."""

    version: Annotated[str, Field(min_length=1, max_length=40)]
    visits: Visits
    limits: Limits
    evidence: Evidence
    retro_search: RetroSearch
    accuracy: Accuracy
    scores: Scores
    safeguarding: Safeguarding
    places: Places
    neighbours: dict[str, list[str]]
    """Force -> those whose areas touch its own."""
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

    def grade(self, name: str) -> Grade:
        """The grade of that name; the highest for a name that an earlier policy gave."""
        return next((grade for grade in self.grades if grade.name == name), self.grades[0])


def load_policy(path: Path | None = None) -> Policy:
    """The policy in a TOML file; None means the default that is shipped.

    Raises BreachwatchError naming the file and each wrong field.
    """
    return read_toml(Policy, path or Path(__file__).with_name("policy.toml"), "policy")
