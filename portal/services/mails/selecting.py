"""A frozen selector of a broadcast about services as it is read back, and which variant of it who reads."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, distinct, exists, func, select

from portal.services.letters import END, NOTES, TICKET
from portal.services.models import StatedPeriod, UpdateTarget
from portal.services.queries.hearing import among
from portal.services.queries.settings import View
from portal.services.rules import ServiceStatus, UpdateKind


@dataclass(frozen=True)
class Selection:
    """A frozen selector as it is read back. `mailed` are all services of the update that are told of, `service_ids`
    those of this broadcast; a company of which more than `over` change is told of them in the digest, but for the
    `few`, which do not see so many of them."""

    update_id: int
    service_ids: Sequence[int]
    mailed: Sequence[int]
    is_digest: bool
    over: int
    few: Collection[int]
    occasion: UpdateKind
    status: ServiceStatus
    variants: Sequence[str]
    to_keep: frozenset[str]
    moments: Mapping[str, datetime]

    @classmethod
    def read(cls, selector: Mapping[str, Any]) -> "Selection":
        return cls(
            update_id=selector["update_id"],
            service_ids=selector["service_ids"],
            mailed=selector["mailed"],
            is_digest=selector["digest"],
            over=selector["over"],
            few=selector.get("few", ()),
            occasion=UpdateKind(selector["occasion"]),
            status=ServiceStatus(selector["status"]),
            variants=selector["variants"],
            to_keep=frozenset(selector["to_keep"]),
            moments={name: datetime.fromisoformat(moment) for name, moment in selector["moments"].items()},
        )

    def is_target(self) -> ColumnElement[bool]:
        """The condition that a target is told of in this broadcast."""
        # The company is known wherever this is asked, and leads to a few rows; the service would lead to all of them,
        # so no index is to be used for it.
        service_id = UpdateTarget.service_id + 0
        mine = (UpdateTarget.update_id == self.update_id) & service_id.in_(self.service_ids)
        many = changing_much(self.update_id, self.mailed, self.over, self.few)
        if many is not None:
            mine &= UpdateTarget.company_id.in_(many) if self.is_digest else UpdateTarget.company_id.not_in(many)
        if self.occasion in (UpdateKind.ENDED, UpdateKind.FINISHED):
            # Scheduled service is over, and a problem that was stated besides is not: nobody says that all is well.
            still = exists().where(StatedPeriod.holding_id == UpdateTarget.holding_id, StatedPeriod.ended_at.is_(None))
            mine &= ~still.correlate(UpdateTarget)
        return mine

    def variant(self, kept_back: Collection[str]) -> str:
        """The variant for readers from whom this is kept: theirs, or one that says still less."""
        wanted = self.to_keep & frozenset(kept_back)
        fitting = [each for each in self.variants if wanted <= set(each)]
        return min(fitting, key=lambda each: (len(each), each))


def changing_much(update_id: int, service_ids: Sequence[int], over: int, few: Collection[int]) -> Select[int] | None:
    """A statement selecting the companies of which more than so many of these services change, but for these few; None
    if there can be none."""
    if len(service_ids) <= over:
        return None
    inner = UpdateTarget.__table__.alias("counted")
    many = (
        select(inner.c.company_id)
        .where(inner.c.update_id == update_id, inner.c.service_id.in_(service_ids))
        .group_by(inner.c.company_id)
        .having(func.count(distinct(inner.c.service_id)) > over)
    )
    return many.where(inner.c.company_id.not_in(among(few))) if few else many


def kept_back_in(view: View) -> frozenset[str]:
    """What this view keeps from readers, by its letters."""
    shown = {NOTES: view.shows_notes, TICKET: view.shows_tickets, END: view.shows_end_times}
    return frozenset(letter for letter, is_shown in shown.items() if not is_shown)
