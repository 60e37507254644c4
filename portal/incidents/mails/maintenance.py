"""Who hears of planned work: the kind "maintenance", the affected first and each person once, with an entry for the
calendar that names their own account and circuits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from flask_babel import force_locale, lazy_gettext
from flask_babel import gettext as _

from portal.catalogue.queries.hearing import ELSEWHERE_OF_WORK, WORK
from portal.domains.queries import companies_with_status_open
from portal.incidents.calendars import Account, Note, own_lines
from portal.incidents.letters import PATH, window_in
from portal.incidents.mails.published import published
from portal.incidents.mails.reaching import (
    PLACES,
    Reader,
    Selection,
    Sentences,
    Subject,
    expand,
    hearers,
    muted_among,
    reaches_more,
)
from portal.incidents.mails.wordings import facts_in
from portal.incidents.queries.calendars import account_numbers
from portal.language import known
from portal.notifications.compose import OWN_LINES
from portal.notifications.kinds import Cursor, Kind, Listener, Published, Recipient, Told, register
from portal.notifications.topics import Source, Topic
from portal.notifications.topics import register as register_topics

SUBJECT = Subject(WORK, ELSEWHERE_OF_WORK)


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next people who are to hear of planned work: first those of reached companies, then everybody else.

    At most twenty-one queries, whatever there is.
    """
    wanted, note = Selection.read(selector, SUBJECT), Note(**selector["note"])
    return expand(wanted, after, limit, lambda readers: values_of(readers, wanted.moments, note, wanted))


def goes_beyond(selector: dict[str, Any], count: int, now: datetime) -> bool:
    """Whether there are more people than so many whom it may concern. One query."""
    return reaches_more(Selection.read(selector, SUBJECT), count)


def tell(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    """What channels are told of planned work: the same people's rule, for the companies they hear for.

    At most six queries.
    """
    wanted = Selection.read(selector, SUBJECT)
    facts: Mapping[str, Any] = selector["facts"]
    languages = {each.id: known(each.language) for each in listeners}
    return {
        listener_id: Told(
            company_ids=reader.company_ids,
            values=_values(reader, wanted.moments, wanted),
            path=f"{PATH}{facts['maintenance']['id']}",
            event=f"maintenance.{facts['update']['kind']}",
            data={
                **facts_in(selector, facts, "maintenance", languages[listener_id]),
                "is_affected": reader.is_hit,
                "services": reader.services,
            },
            about=about,
            priority=priority,
        )
        for listener_id, (reader, about, priority) in hearers(wanted, listeners).items()
    }


def muted_by(
    selector: dict[str, Any], people: Collection[tuple[int, tuple[int, ...]]], now: datetime
) -> frozenset[int]:
    """Those of the people, each with the companies a mail reaches them through, who have muted all that is touched.

    At most eight queries.
    """
    return muted_among(Selection.read(selector, SUBJECT), people)


def for_everybody(selector: dict[str, Any], now: datetime) -> Published | None:
    """What subscribers are told: what the public page shows, and the entry that names nobody's circuits. One query."""
    found = published(selector, SUBJECT, "maintenance", PATH, now)
    if found is None:
        return None
    wanted, note = Selection.read(selector, SUBJECT), Note(**selector["note"])

    def fill(language: str, time_zone: str) -> dict[str, str]:
        windows = _windows(language, time_zone, wanted.moments)
        return {**windows, "affected": "", OWN_LINES: own_lines(note, [])}

    return replace(found, fill=fill, event=f"maintenance.{selector['facts']['update']['kind']}")


def values_of(
    readers: Sequence[Reader], moments: Mapping[str, datetime], note: Note, wanted: Selection
) -> list[dict[str, str]]:
    """What fills the wording for each of these readers. One query."""
    firms = {company_id for reader in readers for company_id, held in reader.held if held.label}
    numbers = account_numbers(firms)
    # The people of a company mostly have the same entry.
    entries: dict[Any, str] = {}
    found = []
    for reader in readers:
        named = tuple((company_id, held) for company_id, held in reader.held if held.label)
        if named not in entries:
            theirs: dict[int, list[str]] = {}
            for company_id, held in named:
                theirs.setdefault(company_id, []).append(held.reference or held.service)
            accounts = [Account(company_id, numbers[company_id], objects) for company_id, objects in theirs.items()]
            entries[named] = own_lines(note, accounts)
        found.append({**_values(reader, moments, wanted), OWN_LINES: entries[named]})
    return found


def _values(reader: Reader, moments: Mapping[str, datetime], wanted: Selection) -> dict[str, str]:
    affected = _sentences(reader.language).about(reader, names_components=bool(wanted.component_ids))
    return {**_windows(reader.language, reader.time_zone, moments), "affected": affected}


def _windows(language: str, time_zone: str, moments: Mapping[str, datetime]) -> dict[str, str]:
    windows = {"window": window_in(moments["starts"], moments["ends"], language, time_zone)}
    if "old_starts" in moments:
        windows["old_window"] = window_in(moments["old_starts"], moments["old_ends"], language, time_zone)
    return windows


@lru_cache
def _sentences(language: str) -> Sentences:
    """The sentences of a language with their places still open: filled per reader, translated once."""
    with force_locale(language):
        return Sentences(
            str(_("It is about services of yours: %(services)s.", **PLACES)),
            str(_("It is about services of yours: %(services)s and %(number)s more.", **PLACES)),
            str(_("As far as we know, it touches none of your services.")),
            str(_("It may touch any of your services.")),
        )


MAINTENANCE = register(
    Kind(
        name="maintenance",
        topic=WORK,
        label=lazy_gettext("Maintenance"),
        recipients=recipients,
        goes_beyond=goes_beyond,
        muted_by=muted_by,
        tell=tell,
        published=for_everybody,
        allowed=companies_with_status_open,
        variables=frozenset({"affected", "window", "old_window", OWN_LINES}),
        expires_after=timedelta(hours=24),
        # Whoever has a problem now hears of it before anybody is told of plans.
        priority=30,
    )
)


def _elsewhere(company_id: int, now: datetime) -> Sequence[Topic]:
    return [Topic(ELSEWHERE_OF_WORK, str(_ELSEWHERE))] if companies_with_status_open([company_id]) else []


def _named(keys: Collection[str]) -> dict[str, str]:
    return {ELSEWHERE_OF_WORK: str(_ELSEWHERE)} if ELSEWHERE_OF_WORK in keys else {}


_ELSEWHERE = lazy_gettext("Maintenance of what you do not use")

register_topics(Source("elsewhere-maintenance", _ELSEWHERE, _elsewhere, _named, under=WORK))
