"""What publishing would do, computed while the form is filled in: what is seen, who is told, and when it arrives."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from babel import Locale

from portal.accounts.models import Company
from portal.admin.forms import company_called
from portal.admin.incidents.forms import WordingRow
from portal.catalogue.queries import Reach
from portal.catalogue.queries.unreached import Stranded
from portal.domains.queries import all_domains
from portal.errors import RuleViolation
from portal.incidents.actions.templates import fill_translations, known_values
from portal.incidents.models import Incident
from portal.incidents.queries.concerned import NONE_STRANDED, concerned_by
from portal.incidents.queries.languages import readers_by_language
from portal.incidents.rules import Audience, Move, Severity, State, Visibility, severities_after, worst
from portal.incidents.rules.languages import NO_TRANSLATIONS, Translations
from portal.incidents.rules.telling import AFFECTED, OTHERS, PRIORITY
from portal.incidents.rules.templates import filled, still_open
from portal.incidents.rules.wordings import WORDINGS_AT_MOST
from portal.language import IN_ENGLISH
from portal.notifications.arrival import Arrival
from portal.notifications.kinds import kind_named
from portal.notifications.outlook import arrival


@dataclass(frozen=True)
class Shown:
    """The banner as customers will see it."""

    title: str
    body: str
    state: State
    severity: Severity
    since: datetime
    next_update: datetime | None


@dataclass(frozen=True)
class OwnWords:
    """What one portal domain calls what the banner shows, in one of its languages: only what is its own."""

    brand: str
    language: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """What some are told in words of their own, as far as it is known for whom. `trouble` is what is wrong with it.

    `language` is the code of that it is written in; of an original nobody declares it, so it is empty.
    """

    name: str
    text: str
    trouble: str = ""
    title: str = ""
    language: str = ""


@dataclass(frozen=True)
class Texts:
    """The texts of a form with what is filled in of them. `unfilled` says what keeps them from being published."""

    title: str = ""
    body: str = ""
    variants: Sequence[Variant] = ()
    unfilled: str = ""
    languages: Sequence[Variant] = ()


NO_TEXTS = Texts()


def texts_of(
    title: str,
    body: str,
    wordings: Sequence[WordingRow],
    values: Mapping[str, str],
    component_ids: Sequence[int],
    *,
    began_at: datetime,
    zone: str,
    translations: Translations = NO_TRANSLATIONS,
) -> Texts:
    """The texts as they would be told. One query for what fills variables, one for each wording of a company."""
    others = _in_languages(translations, values, component_ids, began_at=began_at, zone=zone)
    texts = [title, body, *(each.text for each in wordings)]
    if any("{{" in each for each in texts):
        both = {**values, **known_values(component_ids, began_at, zone)}
        texts = [filled(each, both) for each in texts]
    brands = {f"d{domain.id}": f"Everybody at {domain.brand}" for domain in all_domains()} if wordings else {}
    told = zip(wordings[:WORDINGS_AT_MOST], texts[2:], strict=False)
    variants = [_variant(each, text, brands) for each, text in told]
    return Texts(texts[0], texts[1], variants, still_open(texts), others)


def _in_languages(
    translations: Translations,
    values: Mapping[str, str],
    component_ids: Sequence[int],
    *,
    began_at: datetime,
    zone: str,
) -> list[Variant]:
    """What readers of other languages are told, each with what keeps it from being published. At most a query each."""
    found = []
    for code, said in translations.items():
        told, trouble = said, ""
        given: dict[str, Any] = {"component_ids": component_ids, "began_at": began_at, "zone": zone}
        try:
            told = fill_translations({code: said}, values, **given)[code]
        except RuleViolation as violation:
            trouble = violation.sentence
        found.append(Variant(IN_ENGLISH[code], told.get("body", ""), trouble, told.get("title", ""), code))
    return found


def _variant(row: WordingRow, text: str, brands: Mapping[str, str]) -> Variant:
    if row.to in brands:
        return Variant(brands[row.to], text)
    try:
        return Variant(company_called(row.company).name, text)
    except RuleViolation as violation:
        return Variant(row.company or "A company", text, violation.sentence)


@dataclass(frozen=True)
class Preview:
    """Everything staff see before they publish.

    `verb` is what the button does. `affected` are those the components reach; `mailed` those who get the mail,
    None if nobody does. `arrival` is when all mails have gone out, `arrival_affected` when those to the affected have.
    `own_words` are of the portals that call its severity or state otherwise than the banner does. `stranded` are the
    companies it concerns at which a mail would reach nobody. `subscribers` have no login and hear what is for everyone.
    `readers` are the people it is for, by the language they read.
    """

    shown: Shown
    verb: str
    is_private: bool
    is_note: bool
    audience: Audience
    names_components: bool
    affected: Reach
    companies: Sequence[Company]
    mailed: Reach | None
    arrival: Arrival | None
    arrival_affected: Arrival | None
    own_words: Sequence[OwnWords] = ()
    stranded: Stranded = NONE_STRANDED
    texts: Texts = NO_TEXTS
    subscribers: int = 0
    readers: Mapping[str, int] = field(default_factory=dict)

    @property
    def concerns_everyone(self) -> bool:
        return self.affected.concerns_everyone

    @property
    def people(self) -> int:
        """How many people are mailed."""
        return self.mailed.people if self.mailed else 0


def preview_of(
    shown: Shown,
    component_ids: Collection[int],
    *,
    verb: str,
    audience: Audience,
    visibility: Visibility,
    is_note: bool = False,
    notify: bool,
    affected_only: bool,
    incident_id: int | None = None,
    texts: Texts = NO_TEXTS,
    now: datetime,
) -> Preview:
    """The preview of a report or of its next update. At most twenty-three queries, whatever it reaches."""
    is_private = visibility is Visibility.PRIVATE
    found = concerned_by(
        component_ids,
        audience=audience,
        visibility=visibility,
        is_note=is_note,
        notify=notify,
        affected_only=affected_only,
        incident_id=incident_id,
        now=now,
    )
    affected, mailed = found.affected, found.mailed
    return Preview(
        shown=shown,
        verb=verb,
        subscribers=found.subscribers,
        is_private=is_private,
        is_note=is_note,
        audience=audience,
        names_components=bool(component_ids),
        affected=affected,
        companies=found.companies,
        mailed=mailed,
        arrival=_arrival(mailed, affected, now) if mailed else None,
        arrival_affected=_arrival(affected, affected, now) if mailed else None,
        own_words=() if is_private or is_note else own_words_for(shown.severity, shown.state),
        stranded=found.stranded,
        texts=texts,
        readers={}
        if is_private or is_note
        else readers_by_language(
            component_ids, now, to_all=affected.concerns_everyone or audience is Audience.EVERYONE
        ),
    )


def _arrival(told: Reach, affected: Reach, now: datetime) -> Arrival:
    """When the mails to all of these will have gone out; those to the affected go before the others."""
    phase = OTHERS if told.people > affected.people else AFFECTED
    return arrival(told.people, now, priority=kind_named("incident").priority + PRIORITY[phase])


def own_words_for(severity: Severity, state: State) -> list[OwnWords]:
    """The portal domains whose customers read other words for these two, with those words. One query."""
    keys = (f"state.{state}",) if state is State.FIXED else (f"severity.{severity}", f"state.{state}")
    return [
        OwnWords(domain.brand, Locale.parse(language).english_name or language, words)
        for domain in all_domains()
        for language, chosen in sorted(domain.wordings.items())
        if (words := tuple(chosen[key] for key in keys if key in chosen))
    ]


def shown_after(
    incident: Incident, state: State, named: Mapping[int, Severity], body: str, next_update: datetime | None
) -> Shown:
    """The banner of an incident after its next update."""
    standing = {each.component_id: each.severity for each in incident.components}
    severity = worst(severities_after(standing, named, state).values())
    return Shown(incident.title, body, state, severity, incident.started_at, next_update)


VERBS = {Move.STAYS: "Post", Move.MOVES: "Post", Move.FIXES: "Resolve", Move.REOPENS: "Reopen"}
"""What the button of an update says, by what the update does."""
