"""How soon customers were told, against targets: what was missed and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import abort, request
from werkzeug.wrappers import Response

from portal import access, clock
from portal.accounts.rules import Permission, may
from portal.admin.forms import page_wanted
from portal.admin.services.dashboard import service_or_404
from portal.admin.services.place import blueprint
from portal.admin.services.words import TARGET_WORDS, VERDICTS, why_in_words
from portal.catalogue.queries.lists import Page
from portal.fragments import render
from portal.services.queries.settings import settings
from portal.services.queries.timeliness import LATELY, LONGER, told_since
from portal.services.queries.updates import heads_of
from portal.services.rules import ServiceStatus
from portal.services.timeliness import Judgement, Share, Told, Verdict, judge, share, shares

PER_PAGE = 50
SPANS = {30: LATELY, 90: LONGER}
SHOWS = {"missed": (Verdict.MISSED, Verdict.LATE_TAIL), "all": tuple(Verdict)}


@dataclass(frozen=True)
class Line:
    """An update of one service with how it fared, and why in words."""

    told: Told
    judged: Judgement
    why: str


@blueprint.get("/timeliness")
def timeliness() -> Response:
    """Shares by status and by service, and the updates that missed their target, newest first."""
    now = clock.utcnow()
    days = request.args.get("days", 30, type=int)
    shows, asked = request.args.get("show", "missed"), request.args.get("service", type=int)
    if days not in SPANS or shows not in SHOWS or not (asked is None or 0 < asked < 2**31):
        abort(404)
    service = service_or_404(asked) if asked else None
    usual = settings()
    told = told_since(now - SPANS[days], service.id if service else None)
    wanted = [
        (each, found)
        for each in told
        if (found := judge(each, usual.targets[each.status], now)).verdict in SHOWS[shows]
    ]
    page, pages = page_wanted(), max(1, -(-len(wanted) // PER_PAGE))
    if page > pages:
        abort(404)
    shown = [_line(each, found) for each, found in wanted[(page - 1) * PER_PAGE : page * PER_PAGE]]
    by_service = shares(told, usual.targets, now)
    return render(
        "admin/services/timeliness.html",
        "admin/services/_timeliness.html",
        service=service,
        days=days,
        shows=shows,
        spans=tuple(SPANS),
        lines=Page(shown, page, pages, len(wanted)),
        heads=heads_of({line.told.update_id for line in shown}, by_service.keys()),
        by_status=_by_status(told, usual.targets, now),
        by_service=sorted(
            ((service_id, each) for service_id, each in by_service.items() if each.judged),
            key=lambda each: (each[1].percent or 0, -each[1].judged, each[0]),
        ),
        targets=usual.targets,
        target_words=TARGET_WORDS,
        verdicts=VERDICTS,
        may_edit=may(access.signed_in().role, Permission.SERVICES_SET),
    )


def _line(told: Told, judged: Judgement) -> Line:
    is_ahead = told.status is ServiceStatus.SCHEDULED
    at_setting = (told.starts_at or told.began_at) - told.set_at if is_ahead else told.set_at - told.began_at
    mail = max(told.first_at - told.set_at, timedelta()) if told.first_at else None
    if judged.verdict is Verdict.LATE_TAIL and told.last_at:
        return Line(told, judged, "The first mail was in time, the last was not.")
    return Line(told, judged, why_in_words(judged.why, at_setting, mail))


def _by_status(
    told: Sequence[Told], targets: Mapping[ServiceStatus, timedelta], now: datetime
) -> list[tuple[ServiceStatus, Share]]:
    return [
        (status, share([each for each in told if each.status is status], targets, now))
        for status in reversed(ServiceStatus)
    ]
