"""Templates of reports: keeping, ordering and filling them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_date
from babel.lists import format_list
from flask_babel import force_locale
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.languages import clean_translations
from portal.incidents.actions.writing import TITLE_LENGTH, check_components, clean_body
from portal.incidents.models import IncidentTemplate
from portal.incidents.queries.templates import live_templates, titles_of
from portal.incidents.rules import Audience, Severity, State
from portal.incidents.rules.languages import Translations
from portal.incidents.rules.starters import STARTERS
from portal.incidents.rules.templates import (
    FIELDS_AT_MOST,
    VALUE_LENGTH,
    filled,
    key_of_variable,
    own_fields,
    still_open,
)
from portal.incidents.rules.wordings import Wording
from portal.language import DEFAULT, IN_ENGLISH, known, zone_word
from portal.language import zone as zone_of

NAME_LENGTH = 100
KEPT_AT_MOST = 60
"""Templates that are offered: more than anybody looks through while something is down."""


@dataclass(frozen=True)
class TemplateContent:
    """What a template says; see the model. `translations` are both texts in other languages, None if as they are."""

    name: str
    body: str
    title: str = ""
    state: State | None = None
    audience: Audience | None = None
    severities: Mapping[int, Severity] | None = None
    notify: bool = True
    promise: int | None = None
    translations: Translations | None = None


def keep_template(
    content: TemplateContent, *, by: Actor, author_id: int | None, now: datetime, starter: str | None = None
) -> IncidentTemplate:
    """Keep a template, as the last one; RuleViolation at the field that cannot be so."""
    kept = live_templates()
    if len(kept) >= KEPT_AT_MOST:
        raise RuleViolation(f"There are {len(kept)} templates already. Archive one that nobody uses.", "name")
    made = IncidentTemplate(
        **_checked(content),
        starter=starter,
        position=max((each.position for each in kept), default=0) + 1,
        created_at=now,
        created_by_id=author_id,
    )
    db.session.add(made)
    db.session.flush()
    events.ring(events.STAFF)
    _note("incident_template.add", made, by=by, now=now, after=_said(made))
    return made


def edit_template(
    template: IncidentTemplate, content: TemplateContent, *, version: int, by: Actor, now: datetime
) -> None:
    """Change one; what was published with it stays as it is. The same again is no change."""
    if template.version != version:
        raise StaleEdit
    before = _said(template)
    for name, value in _checked(content, but=template.id).items():
        setattr(template, name, value)
    if _said(template) == before:
        return
    db.session.flush()
    events.ring(events.STAFF)
    _note("incident_template.edit", template, by=by, now=now, before=before, after=_said(template))


def archive_template(template: IncidentTemplate, *, version: int, by: Actor, now: datetime) -> None:
    """Offer it no longer; a second time changes nothing."""
    if template.archived_at is not None:
        return
    if template.version != version:
        raise StaleEdit
    template.archived_at = now
    db.session.flush()
    events.ring(events.STAFF)
    _note("incident_template.archive", template, by=by, now=now, before=_said(template))


def restore_template(template: IncidentTemplate, *, version: int, by: Actor, now: datetime) -> None:
    """Offer it again, as the last one; a second time changes nothing."""
    if template.archived_at is None:
        return
    if template.version != version:
        raise StaleEdit
    kept = live_templates()
    if len(kept) >= KEPT_AT_MOST:
        raise RuleViolation(f"There are {len(kept)} templates already. Archive one that nobody uses.")
    _check_name(template.name, but=template.id)
    template.archived_at, template.position = None, max((each.position for each in kept), default=0) + 1
    db.session.flush()
    events.ring(events.STAFF)
    _note("incident_template.restore", template, by=by, now=now, after=_said(template))


def move_template(template: IncidentTemplate, *, up: bool, version: int, by: Actor, now: datetime) -> None:
    """Offer it one place earlier or later; at the end of the list nothing changes."""
    if template.version != version or template.archived_at is not None:
        raise StaleEdit
    kept = list(live_templates())
    place = kept.index(template)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(kept):
        return
    kept[place], kept[other] = kept[other], kept[place]
    for position, each in enumerate(kept, 1):
        if each.position != position:
            each.position = position
    db.session.flush()
    events.ring(events.STAFF)
    _note("incident_template.move", template, by=by, now=now, after={"position": template.position})


def keep_starters(*, by: Actor, author_id: int | None, now: datetime) -> int:
    """Keep the set to begin with; returns how many of it are new.

    What was kept from it before, under whatever name, and be it archived since, is not kept a second time.
    """
    known = set(db.session.scalars(select(IncidentTemplate.starter).where(IncidentTemplate.starter.is_not(None))))
    names = {each.name.lower() for each in live_templates()}
    count = 0
    for each in STARTERS:
        if each.key in known or each.name.lower() in names:
            continue
        content = TemplateContent(
            each.name, each.body, title=each.title, state=each.state, notify=True, promise=each.promise
        )
        try:
            with db.session.begin_nested():
                keep_template(content, by=by, author_id=author_id, now=now, starter=each.key)
        except IntegrityError:
            continue  # somebody else pressed the same button
        count += 1
    return count


def fill(
    title: str,
    body: str,
    wordings: Iterable[Wording],
    values: Mapping[str, str],
    *,
    component_ids: Sequence[int],
    began_at: datetime,
    zone: str,
) -> tuple[str, str, tuple[Wording, ...]]:
    """The texts of a report with their variables filled; RuleViolation where something is still open."""
    given = list(wordings)
    known = (
        known_values(component_ids, began_at, zone)
        if "{{" in "".join([title, body, *(text for w in given for text in (w.text, *w.texts.values()))])
        else {}
    )
    own = {key_of_variable(name): one_line(value)[:VALUE_LENGTH] for name, value in values.items()}
    both = {**own, **known}
    title, body = filled(title, both), filled(body, both)
    told = tuple(
        Wording(
            filled(each.text, both),
            each.company_id,
            each.domain_id,
            {code: filled(text, both) for code, text in each.texts.items()},
        )
        for each in given
    )
    others = [text for each in told for text in (each.text, *each.texts.values())]
    for field, texts in (("title", [title]), ("body", [body]), ("wordings", others)):
        if sentence := still_open(texts):
            raise RuleViolation(sentence, field)
    return title, body, told


def fill_translations(
    translations: Translations,
    values: Mapping[str, str],
    *,
    component_ids: Sequence[int],
    began_at: datetime,
    zone: str,
) -> dict[str, dict[str, str]]:
    """The texts of a report in other languages with their variables filled, in the words of each language.

    RuleViolation at `translations` where something is still open. At most one query.
    """
    own = {key_of_variable(name): one_line(value)[:VALUE_LENGTH] for name, value in values.items()}
    is_asked = any("{{" in text for said in translations.values() for text in said.values())
    titles = titles_of(component_ids) if is_asked else []
    told = {
        code: {name: filled(text, {**own, **_known(titles, began_at, zone, code)}) for name, text in said.items()}
        for code, said in translations.items()
    }
    for code, said in told.items():
        if sentence := still_open(said.values()):
            raise RuleViolation(f"{IN_ENGLISH.get(code, code)}: {sentence}", "translations")
    return told


def known_values(component_ids: Sequence[int], began_at: datetime, zone: str) -> dict[str, str]:
    """What fills the variables everybody knows (`rules.templates.KNOWN`), in a zone. At most one query."""
    return _known(titles_of(component_ids), began_at, zone, DEFAULT)


def _known(titles: Sequence[str], began_at: datetime, zone: str, language: str) -> dict[str, str]:
    local = began_at.astimezone(zone_of(zone))
    known_there = known(language)
    with force_locale(known_there):
        name = zone_word(local)
    day = f"{local.day} {local:%B %Y}" if known_there == DEFAULT else format_date(local, "long", locale=known_there)
    return {
        "components": format_list(titles, locale=known_there) if known_there != DEFAULT else _listed(titles),
        "date": day,
        "time": f"{local:%H:%M}",
        "zone": name or zone,
    }


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _checked(content: TemplateContent, *, but: int | None = None) -> dict[str, Any]:
    name, title = one_line(content.name), one_line(content.title)
    if not name:
        raise RuleViolation("Give the template a name.", "name")
    if len(name) > NAME_LENGTH:
        raise RuleViolation(f"A name has at most {NAME_LENGTH} characters.", "name")
    if len(title) > TITLE_LENGTH:
        raise RuleViolation(f"A title has at most {TITLE_LENGTH} characters.", "title")
    body = clean_body(content.body)
    others = [text for said in (content.translations or {}).values() for text in said.values()]
    fields = own_fields(title, body, *others)
    if len(fields) > FIELDS_AT_MOST:
        raise RuleViolation(
            f"A template has at most {FIELDS_AT_MOST} fields of its own; this one has {len(fields)}.", "body"
        )
    _check_name(name, but=but)
    severities = content.severities or {}
    check_components(severities)
    return {
        "name": name,
        "title": title,
        "body": body,
        "state": content.state,
        "audience": content.audience,
        "severities": {str(each): severity.value for each, severity in sorted(severities.items())},
        "notify": content.notify,
        "promise": content.promise,
        **_translated(content.translations),
    }


def _translated(translations: Translations | None) -> dict[str, Any]:
    if translations is None:
        return {}
    titles, bodies = clean_translations(translations)
    return {"titles": titles, "bodies": bodies}


def _check_name(name: str, *, but: int | None) -> None:
    others = select(IncidentTemplate.id).where(
        func.lower(IncidentTemplate.name) == name.lower(),
        IncidentTemplate.archived_at.is_(None),
        IncidentTemplate.id != (but or 0),
    )
    if db.session.scalar(others.limit(1)) is not None:
        raise RuleViolation("There is a template of this name already.", "name")


def _said(template: IncidentTemplate) -> dict[str, Any]:
    names = ("name", "title", "body", "titles", "bodies", "state", "audience", "severities", "notify", "promise")
    return {name: getattr(template, name) for name in names}


def _note(
    action: str,
    template: IncidentTemplate,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(
        action, object_kind="incident_template", object_id=template.id, by=by, now=now, before=before, after=after
    )
