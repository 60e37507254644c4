"""Two reports of the same trouble as one: who may still see it, and what becomes of the components of both."""

from collections.abc import Mapping
from datetime import datetime

from portal.incidents.rules import Audience, Interval, Severity, Visibility, worst


def narrows(
    visibility: Visibility, audience: Audience, into_visibility: Visibility, into_audience: Audience
) -> str | None:
    """What customers would lose who see a report and not that it is merged into; None where nobody loses anything."""
    if visibility is Visibility.PRIVATE:
        return None
    if into_visibility is Visibility.PRIVATE:
        return "Customers see this report, and the other is for staff only: make the other public first."
    if audience is Audience.EVERYONE and into_audience is Audience.AFFECTED:
        return "Everybody sees this report, and the other is for the affected only: show the other to everyone first."
    return None


def joined(into: Mapping[int, Severity], duplicate: Mapping[int, Severity]) -> dict[int, Severity]:
    """What a report is to name of the components of one merged into it: the worse of both, where that is new."""
    found = {each: worst((into.get(each, Severity.NONE), severity)) for each, severity in duplicate.items()}
    return {each: severity for each, severity in found.items() if into.get(each) is not severity}


def promised(into: datetime | None, duplicate: datetime | None, now: datetime) -> datetime | None:
    """When customers of either were promised to hear next; None where no promise lies ahead."""
    return min((each for each in (into, duplicate) if each is not None and each > now), default=None)


def until(stretches: Mapping[int, list[Interval]], at: datetime) -> dict[int, list[Interval]]:
    """The stretches of a report up to the moment it was merged: what it says of later is said by the other."""
    return {
        component_id: [
            Interval(each.severity, each.from_at, at if each.to_at is None else min(each.to_at, at))
            for each in found
            if each.from_at < at
        ]
        for component_id, found in stretches.items()
    }
