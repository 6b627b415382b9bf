"""Kinds of order as data: what breach is, what power of arrest it carries, what it needs first.

Every row is for legal review before use. A further kind is a further row.
"""

from dataclasses import dataclass

from schemas.orders import OrderKind


@dataclass(frozen=True)
class KindRow:
    """The law of one kind of order."""

    title: str
    section: str
    breach_is_offence: bool
    power: str
    """The power of arrest, with its section, once what `needs` names is shown."""
    needs: str
    """`service`: proof of service or presence in court, since ignorance goes to reasonable excuse."""


KINDS: dict[OrderKind, KindRow] = {
    OrderKind.SPO_FULL: KindRow(
        title="Stalking Protection Order",
        section="Stalking Protection Act 2019 s1, s8",
        breach_is_offence=True,
        power="arrest without warrant, PACE 1984 s24, for the offence under SPA 2019 s8",
        needs="service",
    ),
    OrderKind.SPO_INTERIM: KindRow(
        title="interim Stalking Protection Order",
        section="Stalking Protection Act 2019 s5, s8",
        breach_is_offence=True,
        power="arrest without warrant, PACE 1984 s24, for the offence under SPA 2019 s8",
        needs="service",
    ),
}

NO_CONFIRMED_POWER = (
    "this order alone gives no confirmed power yet (no proof of service or presence in court): consider stalking "
    "or harassment as offences of their own, and breach of the peace; serve the order now"
)
