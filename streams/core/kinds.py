"""Kinds of order as data: what breach is, what power of arrest it carries, and what it needs first.

Every row is for legal review before use (`legal_review`); a row whose law was not read at its source says so
in `check`. A further kind is a further row. A missing power changes the words of a task, never its grade.
"""

from dataclasses import dataclass
from enum import StrEnum

from schemas.orders import OrderKind
from streams.core.clocks import CourtClock

PACE_24 = "arrest without warrant, PACE 1984 s24 (with a necessity ground, Code G)"


class Needs(StrEnum):
    """What must be shown before the row's power counts as confirmed."""

    SERVICE = "service"
    """Service, or presence in court: ignorance goes to "reasonable excuse" (SPA 2019 s8)."""
    AWARENESS = "awareness"
    """If made without notice, that the subject knew of it (DAA 2021 s39, FLA 1996 s42A)."""
    POWER_ATTACHED = "power_attached"
    """That the court attached a power of arrest, and that it was served (FLA 1996 s47)."""
    NOTHING = "nothing"


class NotifyFrom(StrEnum):
    """From what the three days to notify name and address run."""

    SERVICE = "service"
    MADE = "made"


@dataclass(frozen=True)
class KindRow:
    """The law of one kind of order."""

    title: str
    section: str
    offence: bool
    power: str
    needs: Needs
    check: bool = False
    """The power must be checked by a person: said on every ground."""
    min_days: int | None = None
    max_days: int | None = None
    notify: NotifyFrom | None = None
    court_clock: CourtClock | None = None
    jurisdiction: str = "United Kingdom"
    """Where its terms have effect if they are not limited to a locality."""
    legal_review: bool = True


KINDS: dict[OrderKind, KindRow] = {
    OrderKind.SPO_FULL: KindRow(
        "Stalking Protection Order",
        "Stalking Protection Act 2019 s1, s2(4), s3, s8, s9",
        offence=True,
        power=f"{PACE_24}, for the offence under SPA 2019 s8",
        needs=Needs.SERVICE,
        min_days=730,
        notify=NotifyFrom.SERVICE,
    ),
    OrderKind.SPO_INTERIM: KindRow(
        "interim Stalking Protection Order",
        "Stalking Protection Act 2019 s5, s8, s9",
        offence=True,
        power=f"{PACE_24}, for the offence under SPA 2019 s8",
        needs=Needs.SERVICE,
        notify=NotifyFrom.SERVICE,
    ),
    OrderKind.DAPO: KindRow(
        "Domestic Abuse Protection Order",
        "Domestic Abuse Act 2021 s27-56, s39, s41, s45(9)",
        offence=True,
        power=f"{PACE_24}, for the offence under DAA 2021 s39",
        needs=Needs.AWARENESS,
        notify=NotifyFrom.MADE,
    ),
    OrderKind.DAPN: KindRow(
        "Domestic Abuse Protection Notice",
        "Domestic Abuse Act 2021 s22-26",
        offence=False,
        power="arrest without warrant for breach of the notice, DAA 2021 s26; before a court within 24 hours",
        needs=Needs.SERVICE,
        court_clock=CourtClock.DAPN,
    ),
    OrderKind.NON_MOLESTATION: KindRow(
        "non-molestation order",
        "Family Law Act 1996 s42, s42A",
        offence=True,
        power=f"{PACE_24}, for the offence under FLA 1996 s42A",
        needs=Needs.AWARENESS,
        jurisdiction="England and Wales",
    ),
    OrderKind.RESTRAINING: KindRow(
        "restraining order",
        "Sentencing Act 2020 s360, s363; Protection from Harassment Act 1997 s5A",
        offence=True,
        power=f"{PACE_24}, for the offence under Sentencing Act 2020 s363 or PHA 1997 s5A",
        needs=Needs.NOTHING,
    ),
    OrderKind.COURT_BAIL: KindRow(
        "court bail with conditions",
        "Bail Act 1976 s7",
        offence=False,
        power="arrest without warrant, Bail Act 1976 s7(3); before a court within 24 hours",
        needs=Needs.NOTHING,
        court_clock=CourtClock.BAIL_ACT,
        jurisdiction="England and Wales",
    ),
    OrderKind.DVPO: KindRow(
        "Domestic Violence Protection Order",
        "Crime and Security Act 2010 s27-29",
        offence=False,
        power="arrest without warrant where the order says so, CSA 2010 s28(9)",
        needs=Needs.NOTHING,
        check=True,
        min_days=14,
        max_days=28,
        court_clock=CourtClock.DAPN,
        jurisdiction="England and Wales",
    ),
    OrderKind.DVPN: KindRow(
        "Domestic Violence Protection Notice",
        "Crime and Security Act 2010 s24-26",
        offence=False,
        power="arrest without warrant, CSA 2010 s25",
        needs=Needs.SERVICE,
        check=True,
        max_days=28,
        court_clock=CourtClock.DAPN,
        jurisdiction="England and Wales",
    ),
    OrderKind.OCCUPATION: KindRow(
        "occupation order",
        "Family Law Act 1996 s33-41, s47",
        offence=False,
        power="arrest without warrant under the power attached to the order, FLA 1996 s47",
        needs=Needs.POWER_ATTACHED,
        check=True,
        jurisdiction="England and Wales",
    ),
    OrderKind.SHPO: KindRow(
        "Sexual Harm Prevention Order",
        "Sentencing Act 2020 s343-358, s354",
        offence=True,
        power=f"{PACE_24}, for the offence under Sentencing Act 2020 s354",
        needs=Needs.NOTHING,
        check=True,
    ),
    OrderKind.SRO: KindRow(
        "Sexual Risk Order",
        "Sexual Offences Act 2003 s122A-122K, s122H",
        offence=True,
        power=f"{PACE_24}, for the offence under SOA 2003 s122H",
        needs=Needs.NOTHING,
        check=True,
    ),
    OrderKind.SPO_NI: KindRow(
        "Stalking Protection Order (Northern Ireland)",
        "Protection from Stalking Act (Northern Ireland) 2022, s13",
        offence=True,
        power="the powers of the Police Service of Northern Ireland; conduct elsewhere: s13 of the 2022 Act",
        needs=Needs.SERVICE,
        check=True,
    ),
    OrderKind.POLICE_BAIL: KindRow(
        "police bail with conditions",
        "PACE 1984 s46A",
        offence=False,
        power="arrest without warrant for breach of police bail, PACE 1984 s46A",
        needs=Needs.NOTHING,
        check=True,
        jurisdiction="England and Wales",
    ),
    OrderKind.LICENCE: KindRow(
        "licence conditions",
        "Criminal Justice Act 2003 s254",
        offence=False,
        power="no general power of arrest for breach of a licence; after recall, unlawfully at large",
        needs=Needs.NOTHING,
        check=True,
    ),
}

NO_CONFIRMED_POWER = (
    "this order alone gives no confirmed power yet ({lacking}): consider stalking or harassment as offences of "
    "their own, and breach of the peace; serve the order now"
)
CHECK_THE_POWER = "check the power before relying on it: "
LACKING = {
    Needs.SERVICE: "no proof of service or presence in court",
    Needs.AWARENESS: "made without notice, and no proof that the subject was aware of it",
    Needs.POWER_ATTACHED: "no power of arrest is recorded as attached and served",
}
