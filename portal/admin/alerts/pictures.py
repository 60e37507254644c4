"""The chart of an alert at one company, in the words of staff."""

from datetime import datetime

from flask import abort, request

from portal.admin.alerts.words import HAPPENED, thing
from portal.alerts import pictures
from portal.alerts.models import Alert, AlertWatch
from portal.language import reader_zone
from portal.usage.rules import Span


def span_wanted() -> Span:
    """How much of the past the address asks for."""
    return pictures.span_called(request.args.get("span", Span.DAY.value)) or abort(404)


def picture(alert: Alert, watch: AlertWatch, span: Span, now: datetime, at: str) -> pictures.Picture | None:
    """What the alert watches at this company; None where it watches no figure that has a past."""
    whose = "" if alert.company_id is not None else f"&company={watch.company_id}"
    return pictures.picture(
        alert,
        watch,
        thing(alert),
        span,
        now=now,
        zone=reader_zone(),
        happened=HAPPENED.__getitem__,
        address=lambda each: f"{at}?span={each}{whose}#shown",
    )
