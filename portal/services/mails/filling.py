"""What of a mail about services is a reader's own: names of theirs, and moments in their time zone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from flask_babel import force_locale, format_datetime

from portal.catalogue.notices.rules import named_in_words
from portal.filters import DATES
from portal.language import zone, zone_word
from portal.services.letters import labels_of

SERVICES_NAMED = 8
COMPANIES_NAMED = 3
LINES_AT_MOST = 200
"""How many a mail names; the rest is a number."""


class Held(NamedTuple):
    """A holding that an update is about, as a mail names it."""

    service_id: int
    name: str
    reference: str


class Firm(NamedTuple):
    """A company as a mail names it."""

    id: int
    name: str


def values_for(
    language: str,
    time_zone: str,
    named: Sequence[tuple[Firm, Held]],
    moments: Mapping[str, datetime],
    *,
    is_digest: bool,
) -> dict[str, str]:
    """What of a mail is a reader's own: the services of their companies, and the moments in their time zone."""
    companies = list(dict.fromkeys(company for company, _held in named))
    labels = labels_of([(held.name, held.reference) for _company, held in named])
    values = {name: written(moment, language, time_zone) for name, moment in moments.items()}
    values["service_name"] = named_in_words(labels, SERVICES_NAMED)
    values["company_name"] = named_in_words([company.name for company in companies], COMPANIES_NAMED)
    if is_digest:
        values["services"] = _lines(companies, named)
    return values


def _lines(companies: Sequence[Firm], named: Sequence[tuple[Firm, Held]]) -> str:
    """Each service on a line of its own; with the company where they are of several."""
    lines = []
    for company in companies:
        labels = labels_of([(held.name, held.reference) for each, held in named if each == company])
        lines += [f"{company.name}: {label}" if len(companies) > 1 else label for label in labels]
    more = len(lines) - LINES_AT_MOST
    return "\n".join([*lines[:LINES_AT_MOST], f"+{more}"] if more > 0 else lines)


@lru_cache(maxsize=4096)
def written(moment: datetime, language: str, zone_name: str) -> str:
    """A moment in the reader's own zone, with the zone named."""
    local = moment.astimezone(zone(zone_name))
    with force_locale(language):
        return f"{format_datetime(local, DATES[language][1], rebase=False)} {zone_word(local)}"
