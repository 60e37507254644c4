"""`/admin/settings/templates`: what the mails about service statuses say, in staff's own words or ours."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import Blueprint, Response, abort, flash, make_response, request, url_for

from portal import access, clock, events
from portal.accounts.models import Person
from portal.accounts.queries import person_by_id
from portal.accounts.rules import Permission
from portal.admin.broadcasts.notices.routes import MAIL_POLICY
from portal.admin.forms import page_wanted
from portal.admin.templates.forms import VersionForm, WordsForm
from portal.database import read_only
from portal.domains.models import PortalDomain
from portal.domains.queries import all_domains
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.headers import let_frames_show_ours
from portal.language import LANGUAGES
from portal.notifications.templates import queries
from portal.notifications.templates.actions import reset_template, save_template
from portal.notifications.templates.models import MailTemplate
from portal.notifications.templates.rules import (
    FieldError,
    Template,
    Words,
    checked,
    known_templates,
    template_named,
)
from portal.services.actions.trying import send_test
from portal.services.specimen import Letter, Specimen, letter_of, specimen_of

blueprint = Blueprint("admin_templates", __name__, url_prefix="/admin/settings/templates")
access.staff(blueprint, Permission.NOTICES_SEND)


@dataclass(frozen=True)
class Place:
    """Where words stand: a template in a language, on one portal domain or (None) on all."""

    template: Template
    language: str
    domain: PortalDomain | None

    @property
    def domain_id(self) -> int | None:
        return self.domain.id if self.domain else None

    @property
    def title(self) -> str:
        where = f" on {self.domain.brand}" if self.domain else ""
        return f"{self.template.label} in {NAMES[self.language]}{where}"

    def address(self, endpoint: str = "words") -> str:
        """Where something of this place is done."""
        return url_for(
            f"admin_templates.{endpoint}",
            name=self.template.name,
            language=self.language,
            domain=self.domain_id,
        )


NAMES = {"en": "English", "de": "German"}
"""What staff call the languages."""


@dataclass(frozen=True)
class Row:
    """A line of the list. `own` is the version that stands, None for the built-in words."""

    place: Place
    own: MailTemplate | None


@dataclass(frozen=True)
class Preview:
    """The mail as it would be. `trouble` says why there is none, where that is the words' fault."""

    specimen: Specimen
    letter: Letter | None
    trouble: str = ""


@blueprint.get("")
def templates() -> Response:
    """Every mail with its words: whose they are, in which language, and on which portal domain."""
    rewritten = queries.rewritten()
    domains = {domain.id: domain for domain in all_domains()}
    groups = []
    for template in known_templates():
        rows = [Row(Place(template, code, None), rewritten.get((template.name, code, None))) for code in LANGUAGES]
        rows += [
            Row(Place(template, code, domains[domain_id]), row)
            for (name, code, domain_id), row in rewritten.items()
            if name == template.name and domain_id is not None and domain_id in domains
        ]
        groups.append((template, rows))
    page = "admin/templates/templates.html"
    return render(page, "admin/templates/_templates.html", groups=groups, languages=NAMES)


@blueprint.route("/<name>/<language>", methods=["GET", "POST"])
def words(name: str, language: str) -> Response:
    """The words of one place: to read, to write anew, to take back."""
    place, form, now = _place(name, language), WordsForm(), clock.utcnow()
    if not form.is_submitted():
        standing = queries.standing(name, language, place.domain_id)
        form.fill_in(standing.words, _newest_id(place))
        return _page(place, form, now)
    if not form.validate():
        return _page(place, form, now, 422)
    try:
        _save(place, form.words(), form.expected(), now)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(place, form, now, 422)
    except StaleEdit:
        events.rollback()
        form.version.data = str(_newest_id(place))
        return _page(place, form, now, 409)
    flash("Saved. The next mail says it like this.")
    return redirect_to(place.address())


@blueprint.post("/<name>/<language>/preview")
def preview(name: str, language: str) -> Response:
    """The mail in the words as they are typed. Nothing is written."""
    place = _place(name, language)
    events.rollback()
    read_only.set(True)
    template = "admin/templates/preview.html"
    return render(template, template, place=place, preview=_preview(place, WordsForm().words(), clock.utcnow()))


@blueprint.get("/<name>/<language>/mail")
def mail(name: str, language: str) -> Response:
    """The HTML of the mail in the words that stand, for the frame on their page. It can run and load nothing."""
    place = _place(name, language)
    standing = queries.template_for(name, language, place.domain_id)
    letter = _preview(place, standing, clock.utcnow()).letter
    response = make_response(letter.document if letter else "")
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    return response


@blueprint.post("/<name>/<language>/test")
def test(name: str, language: str) -> Response:
    """Send the mail in the words that stand to whoever asks, at their own address."""
    place, form, now = _place(name, language), VersionForm(), clock.utcnow()
    if not form.validate():
        return _as_it_stands(place, now, 422)
    me = cast(Person, person_by_id(access.signed_in().person_id))
    sentence = f"On its way to {me.email}."
    try:
        send_test(name, language, place.domain_id, me, by=access.actor(), now=now)
    except RuleViolation as violation:
        events.rollback()
        return _as_it_stands(place, now, 422, violation.sentence)
    events.commit()
    flash(sentence)
    return redirect_to(place.address())


@blueprint.post("/<name>/<language>/reset")
def reset(name: str, language: str) -> Response:
    """Take the own words of this place back."""
    place, form, now = _place(name, language), VersionForm(), clock.utcnow()
    if not form.validate():
        return _as_it_stands(place, now, 422)
    try:
        reset_template(
            name,
            language,
            place.domain_id,
            expected=form.expected(),
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
        )
        events.commit()
    except StaleEdit:
        return _stale(place, now)
    flash("Taken back. What was written stays among the versions.")
    return redirect_to(place.address())


@blueprint.post("/<name>/<language>/restore")
def restore(name: str, language: str) -> Response:
    """Have an earlier version stand again, as a new one."""
    place, form, now = _place(name, language), VersionForm(), clock.utcnow()
    if not form.validate():
        return _as_it_stands(place, now, 422)
    earlier = queries.version(name, language, place.domain_id, form.wanted())
    if earlier is None or earlier.is_reset:
        abort(404)
    try:
        _save(place, Words(earlier.subject, earlier.text, earlier.html), form.expected(), now)
    except RuleViolation as violation:
        events.rollback()
        return _as_it_stands(place, now, 422, violation.sentence)
    except StaleEdit:
        return _stale(place, now)
    flash("This version stands again.")
    return redirect_to(place.address())


# What they share


def _place(name: str, language: str) -> Place:
    try:
        template = template_named(name)
    except KeyError:
        abort(404)
    if language not in LANGUAGES:
        abort(404)
    wanted = request.args.get("domain", "")
    if not wanted:
        return Place(template, language, None)
    domain = next((each for each in all_domains() if str(each.id) == wanted), None)
    if domain is None:
        abort(404)
    return Place(template, language, domain)


def _newest_id(place: Place) -> int:
    newest = queries.newest(place.template.name, place.language, place.domain_id)
    return newest.id if newest else 0


def _save(place: Place, words: Words, expected: int, now: datetime) -> None:
    save_template(
        place.template.name,
        place.language,
        place.domain_id,
        words,
        expected=expected,
        by=access.actor(),
        author_id=access.signed_in().person_id,
        now=now,
    )
    events.commit()


def _preview(place: Place, words: Words, now: datetime) -> Preview:
    specimen = specimen_of(place.template.name, place.domain_id, now)
    try:
        kept = checked(place.template, words)
    except FieldError as refusal:
        return Preview(specimen, None, str(refusal))
    return Preview(specimen, letter_of(specimen, kept, place.language, place.domain_id))


def _stale(place: Place, now: datetime) -> Response:
    events.rollback()
    sentence = "Somebody has changed these words since you looked. This is how they stand now: look once more."
    return _as_it_stands(place, now, 409, sentence)


def _as_it_stands(place: Place, now: datetime, status: int = 200, refusal: str = "") -> Response:
    form = WordsForm(formdata=None)
    standing = queries.standing(place.template.name, place.language, place.domain_id)
    form.fill_in(standing.words, _newest_id(place))
    return _page(place, form, now, status, refusal)


def _page(place: Place, form: WordsForm, now: datetime, status: int = 200, refusal: str = "") -> Response:
    let_frames_show_ours()
    name, language = place.template.name, place.language
    domains = all_domains()
    return render(
        "admin/templates/words.html",
        "admin/templates/_words.html",
        status,
        place=place,
        form=form,
        refusal=refusal,
        is_stale=status == 409 and not refusal,
        standing=queries.standing(name, language, place.domain_id),
        versions=queries.versions(name, language, place.domain_id, page_wanted()),
        version_form=VersionForm(formdata=None, data={"version": str(_newest_id(place))}),
        preview=_preview(place, form.words(), now),
        language_tabs=[
            (label, Place(place.template, code, place.domain).address(), code == language)
            for code, label in LANGUAGES.items()
        ],
        places=[(domain.brand, domain.host, Place(place.template, language, domain).address()) for domain in domains],
        everywhere=Place(place.template, language, None).address(),
    )
