"""Staff screens of reports: history, publish, update, correct."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, g, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.delays import done, saved
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.incidents.beside import REACHED_WORDS, beside_of
from portal.admin.incidents.forms import SEVERITIES, EditForm, ReportForm, TextForm, UpdateForm, rows_of
from portal.admin.incidents.letter import letter_of
from portal.admin.incidents.preview import VERBS, Preview, Shown, Texts, preview_of, shown_after
from portal.admin.incidents.preview import texts_of as preview_texts
from portal.catalogue.queries import all_components
from portal.database import read_only
from portal.domains.queries import all_domains
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents import actions, queries
from portal.incidents.actions.beginning import set_beginning
from portal.incidents.actions.drafts import save_draft
from portal.incidents.actions.templates import fill, fill_translations
from portal.incidents.actions.wordings import edit_wordings
from portal.incidents.models import Incident, IncidentDraft, IncidentTemplate, IncidentUpdate
from portal.incidents.queries import Filters
from portal.incidents.queries import wordings as told_apart
from portal.incidents.queries.drafts import first_drafts
from portal.incidents.queries.nagging import lateness
from portal.incidents.queries.templates import live_templates, severities_of, template_by_id
from portal.incidents.rules import (
    SEVERITY_OF_IMPACT,
    Audience,
    Impact,
    Severity,
    State,
    Visibility,
    move,
    worst,
)
from portal.incidents.rules.languages import texts_of, translations_of
from portal.incidents.rules.templates import own_fields
from portal.incidents.rules.wordings import Wording
from portal.language import TIME_ZONES
from portal.notifications.queries import progress_of_many
from portal.services.actions import recover_with
from portal.services.queries.choosing import holdings_named
from portal.services.queries.stated import stated_under

blueprint = Blueprint("admin_incidents", __name__, url_prefix="/admin/incidents")
access.staff(blueprint, Permission.STAFF_ENTER)

LINKS_AT_MOST = 5
"""How many open incidents the header of every staff page offers."""

DRAFTS_SHOWN = 5
"""So many drafts stand above the report history; the others are on a page of their own."""

HOLDINGS_SHOWN = 50
"""Of the services that are still stated worse, so many are named; the rest is a number."""


@blueprint.get("")
def index() -> Response:
    """The report history: what is open first, then what was, a page at a time."""
    filters = _filters()
    reports = queries.report_history(filters, page_wanted())
    if reports is None:
        abort(404)
    now = clock.utcnow()
    drafts, draft_count = first_drafts(DRAFTS_SHOWN) if _may_publish() else ((), 0)
    return render(
        "admin/incidents/incidents.html",
        "admin/incidents/_incidents.html",
        reports=reports,
        late=lateness(reports.items, now),
        filters=filters,
        is_filtered=filters != Filters(),
        components=all_components(),
        drafts=drafts,
        draft_count=draft_count,
        may_publish=_may_publish(),
        address=_address,
        now=now,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> Response:
    """Publish a report. `title` and `component` in the address fill the form in, for quick ways here."""
    access.require(Permission.INCIDENTS_PUBLISH)
    now = clock.utcnow()
    form = ReportForm()
    if not form.is_submitted():
        _fill_in(form)
        form.zone.data = zone_of_reader()
        return publish_page(form, now)
    if asks_to_fill(form):
        return publish_page(form, now)
    wish = Wish.of(request.form.get("do"))
    if not is_whole(form, wish):
        return publish_page(form, now, 422)
    try:
        if wish is not Wish.PUBLISH:
            draft = save_draft(
                form.content(now),
                publish_at=wished_time(form, wish),
                zone=form.zone_name(),
                idempotency_key=f"form:{form.key.data}"[:64],
                by=access.actor(),
                author_id=access.signed_in().person_id,
                now=now,
            )
            events.commit()
            flash("Saved as a draft." if draft.publish_at is None else "Saved. It is published at its time.")
            return redirect_to(url_for("admin_incidents.index", _anchor="drafts"))
        incident = _publish(form, now)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return publish_page(form, now, 422)
    incident_id = incident.id
    events.commit()
    flash(done(said_of_published(incident_visibility=form.visibility.data)))
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


def _publish(form: ReportForm, now: datetime) -> Incident:
    content = form.content(now)
    title, body, wordings = fill(
        content.title,
        content.body,
        content.wordings,
        content.values,
        component_ids=list(content.severities or ()),
        began_at=content.started_at or now,
        zone=form.zone_name(),
    )
    translations = fill_translations(
        content.translations,
        content.values,
        component_ids=list(content.severities or ()),
        began_at=content.started_at or now,
        zone=form.zone_name(),
    )
    return actions.publish(
        title,
        content.state,
        body,
        content.severities,
        visibility=content.visibility,
        audience=content.audience,
        notify=content.notify,
        mail_affected_only=content.mail_affected_only,
        started_at=content.started_at,
        next_update=content.next_update,
        wordings=wordings,
        translations=translations,
        idempotency_key=f"form:{form.key.data}",
        by=access.actor(),
        author_id=access.signed_in().person_id,
        now=now,
    )


def said_of_published(*, incident_visibility: str) -> str:
    """What confirms that a report was published."""
    return "Published." if incident_visibility == Visibility.PUBLIC else "Saved for staff only."


@blueprint.post("/preview")
def preview() -> Response:
    """What publishing the form as it stands would do."""
    access.require(Permission.INCIDENTS_PUBLISH)
    _only_read()
    return _preview_answer(preview_of_report(ReportForm(), clock.utcnow()))


@blueprint.post("/mail")
def mail_of_report() -> Response:
    """The mail that publishing the form as it stands would send, as one of its readers gets it."""
    access.require(Permission.INCIDENTS_PUBLISH)
    _only_read()
    form, now = ReportForm(), clock.utcnow()
    letter = letter_of(form, preview_of_report(form, now), list(form.components.data), now)
    return render("admin/incidents/letter.html", "admin/incidents/letter.html", letter=letter)


@blueprint.post("/<int:incident_id>/mail")
def mail_of_update(incident_id: int) -> Response:
    """The mail that posting the update as it stands would send, as one of its readers gets it."""
    access.require(Permission.INCIDENTS_PUBLISH)
    _only_read()
    found, form, now = _incident(incident_id), UpdateForm(), clock.utcnow()
    components = {each.component_id for each in found.components} | set(form.components.data)
    letter = letter_of(form, _preview_of_update(found, form, now), sorted(components), now, found)
    return render("admin/incidents/letter.html", "admin/incidents/letter.html", letter=letter)


@blueprint.get("/<int:incident_id>")
def incident(incident_id: int) -> Response:
    """One report: its timeline, and the form of its next update."""
    found = _incident(incident_id)
    return _incident_page(found, _fresh_update_form(found), clock.utcnow())


@blueprint.post("/<int:incident_id>/updates")
def post_update(incident_id: int) -> Response:
    access.require(Permission.INCIDENTS_PUBLISH)
    now = clock.utcnow()
    found = _incident(incident_id)
    form = UpdateForm()
    if asks_to_fill(form):
        return _incident_page(found, form, now)
    if not form.validate():
        return _incident_page(found, form, now, 422)
    is_note = form.visibility.data == Visibility.PRIVATE
    recovered = None
    try:
        named = [*(each.component_id for each in found.components), *form.components.data]
        body = form.body.data or ""
        wordings: tuple[Wording, ...] = ()
        bodies: dict[str, str] = {}
        if not is_note:
            others = fill_translations(
                translations_of(body=form.translations.texts("body")),
                form.values.data,
                component_ids=list(dict.fromkeys(named)),
                began_at=now,
                zone=zone_of_reader(),
            )
            bodies = texts_of(others, "body")
            _title, body, wordings = fill(
                "",
                body,
                form.wordings.meant(),
                form.values.data,
                component_ids=list(dict.fromkeys(named)),
                began_at=now,
                zone=zone_of_reader(),
            )
        actions.post_update(
            found,
            None if is_note else State(form.state.data),
            body,
            {} if is_note else _moved(found, form.components.data),
            visibility=Visibility(form.visibility.data),
            notify=form.notify.data,
            mail_affected_only=form.affected_only.data,
            next_update=form.promise(),
            wordings=wordings,
            bodies=bodies,
            idempotency_key=f"form:{form.key.data}",
            version=form.version.data or 0,
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
        )
        if form.recovers.data and not is_note and form.state.data == State.FIXED and _may_set():
            recovered = _recover(found, form, now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(RuleViolation(violation.sentence, "body") if violation.field == "notes" else violation)
        return _incident_page(_incident(incident_id), form, now, 422)
    except (StaleEdit, StaleDataError):
        return _stale_update(incident_id, form, now)
    flash(done("Noted for staff." if is_note else "Update posted."))
    if recovered:
        flash(f"{recovered} with it.")
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


def _recover(found: Incident, form: UpdateForm, now: datetime) -> str:
    """End what is stated of the services that the form has named; in words, nothing where none was left.

    Only those that stood there when the form was opened: what was said of others since is not known to who sends it.
    """
    periods = stated_under(found.id, now)
    named = [each.holding_id for each in periods if each.id <= (form.recovers_up_to.data or 0)]
    made = recover_with(
        found,
        named,
        notes=form.body.data or "",
        notify=form.tells_recovery.data,
        by=access.actor(),
        author_id=access.signed_in().person_id,
        now=now,
        idempotency_key=f"form:{form.key.data}",
    )
    if made is None:
        return ""
    return f"What was stated of {'one service' if len(named) == 1 else f'{len(named):,} services'} has ended"


@blueprint.post("/<int:incident_id>/preview")
def preview_update(incident_id: int) -> Response:
    """What posting the update as it stands would do."""
    access.require(Permission.INCIDENTS_PUBLISH)
    _only_read()
    return _preview_answer(_preview_of_update(_incident(incident_id), UpdateForm(), clock.utcnow()))


@blueprint.route("/<int:incident_id>/edit", methods=["GET", "POST"])
def edit(incident_id: int) -> Response:
    """Change what a report is called and who sees it."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found = _incident(incident_id)
    form = EditForm(obj=found)
    if not form.is_submitted():
        form.show_beginning(found.started_at, zone_of_reader())
        form.impact_override.data = found.impact_override or ""
        form.translations.data = translations_of(title=found.titles)
        return _edit_page(found, form)
    if not form.validate():
        return _edit_page(found, form, 422)
    now = clock.utcnow()
    try:
        began = form.beginning(found.started_at)
        called_off = actions.edit(
            found,
            title=form.title.data or "",
            titles=form.translations.texts("title"),
            visibility=Visibility(form.visibility.data),
            audience=Audience(form.audience.data),
            impact_override=Impact(form.impact_override.data) if form.impact_override.data else None,
            version=form.version.data or 0,
            by=access.actor(),
            now=now,
        )
        set_beginning(found, began, version=found.version, by=access.actor(), now=now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _edit_page(_incident(incident_id), form, 422)
    except (StaleEdit, StaleDataError):
        return _stale_edit(incident_id, form)
    flash(saved(called_off))
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


@blueprint.route("/<int:incident_id>/updates/<int:update_id>/edit", methods=["GET", "POST"])
def edit_update(incident_id: int, update_id: int) -> Response:
    """Correct the text of an update; nothing is mailed again."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found = _incident(incident_id)
    update = _update(found, update_id)
    form = TextForm(obj=update)
    if not form.is_submitted():
        form.version.data = found.version
        form.translations.data = translations_of(body=update.bodies)
        kept = told_apart.wordings_of([update_id]).get(update_id, [])
        form.wordings.data = rows_of(kept, told_apart.audience_names(kept))
        return _text_page(found, update, form)
    if request.form.get("do") == "more":
        return _text_page(found, update, form)
    if not form.validate():
        return _text_page(found, update, form, 422)
    now = clock.utcnow()
    version = form.version.data or 0
    try:
        wordings = form.wordings.meant()
        bodies = form.translations.texts("body")
        actions.edit_update(
            update, found, form.body.data or "", bodies=bodies, version=version, by=access.actor(), now=now
        )
        edit_wordings(update, found, wordings, version=found.version, by=access.actor(), now=now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        found = _incident(incident_id)
        return _text_page(found, _update(found, update_id), form, 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        found = _incident(incident_id)
        form.version.data = found.version
        return _text_page(found, _update(found, update_id), form, 409)
    flash("Corrected.")
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


# The way here from every staff page


@dataclass(frozen=True)
class Link:
    """An open incident as the header of every staff page offers it."""

    title: str
    severity: Severity
    state: State
    since: datetime
    href: str
    update_href: str
    resolve_href: str


@blueprint.app_context_processor
def offer_open_incidents() -> dict[str, Any]:
    """`open_incident_links` for the staff header: read when it is looked at, once a request."""
    return {"open_incident_links": LocalProxy(_links)}


def _links() -> list[Link]:
    if "open_incident_links" not in g:
        person = access.viewer() if getattr(g, "on_staff_host", False) else None
        is_offered = person is not None and may(person.role, Permission.INCIDENTS_PUBLISH)
        heads = queries.open_incident_heads(LINKS_AT_MOST) if is_offered else ()
        g.open_incident_links = [_link(each) for each in heads]
    return cast(list[Link], g.open_incident_links)


def _link(incident: Incident) -> Link:
    href = url_for("admin_incidents.incident", incident_id=incident.id)
    return Link(
        title=incident.title,
        severity=SEVERITY_OF_IMPACT[incident.impact],
        state=incident.state,
        since=incident.started_at,
        href=href,
        update_href=f"{href}#update",
        resolve_href=f"{href}?state={State.FIXED}#update",
    )


# Pages


def publish_page(
    form: ReportForm, now: datetime, status: int = 200, draft: IncidentDraft | None = None, **context: Any
) -> Response:
    """The form of a report, or of a draft, beside what publishing it would do."""
    return render(
        "admin/incidents/new.html",
        "admin/incidents/_report_form.html",
        status,
        form=form,
        draft=draft,
        choices=all_components(),
        severities=SEVERITIES,
        preview=preview_of_report(form, now),
        now=now,
        **filling(form),
        **context,
    )


def filling(form: Any) -> dict[str, Any]:
    """What the templates, the fields they ask for and the wordings of a form are shown with. At most two queries."""
    texts = [getattr(form, "title", form.body).data or "", form.body.data or ""]
    texts += [text for each in form.wordings.data for text in (each.text, *each.texts.values())]
    texts += [text for said in form.translations.data.values() for text in said.values()]
    return {"templates": live_templates(), "asked": own_fields(*texts), "portals": all_domains()}


def _incident_page(
    found: Incident, form: UpdateForm, now: datetime, status: int = 200, missed: list[IncidentUpdate] | None = None
) -> Response:
    standing = stated_under(found.id, now) if _may_set() else []
    if status == 200:
        form.recovers_up_to.data = max((each.id for each in standing), default=0)
    still = holdings_named([each.holding_id for each in standing[:HOLDINGS_SHOWN]], now)
    broadcasts = queries.broadcasts_of(found)
    progress = progress_of_many(list(broadcasts.values()), now) if broadcasts else {}
    return render(
        "admin/incidents/incident.html",
        "admin/incidents/_timeline.html",
        status,
        incident=found,
        form=form,
        choices=all_components(),
        severities=SEVERITIES,
        standing={each.component_id: each.severity for each in found.components},
        worst_severity=worst(each.severity for each in found.components),
        last_update_at=next(
            (each.posted_at for each in queries.updates_for(STAFF, found) if each.visibility is Visibility.PUBLIC), None
        ),
        broadcasts=broadcasts,
        progress=progress,
        preview=_preview_of_update(found, form, now) if _may_publish() else None,
        may_publish=_may_publish(),
        still={each.holding_id: each.status for each in standing},
        still_shown=still,
        missed=missed or [],
        around=beside_of(found, now),
        worded=_worded(found),
        reached_words=REACHED_WORDS,
        now=now,
        **filling(form),
    )


def _edit_page(found: Incident, form: EditForm, status: int = 200, *, is_stale: bool = False) -> Response:
    return render(
        "admin/incidents/edit.html",
        "admin/incidents/_edit_form.html",
        status,
        incident=found,
        form=form,
        is_stale=is_stale,
    )


def _text_page(found: Incident, update: IncidentUpdate, form: TextForm, status: int = 200) -> Response:
    return render(
        "admin/incidents/text.html",
        "admin/incidents/_text_form.html",
        status,
        incident=found,
        update=update,
        form=form,
        portals=all_domains(),
        is_stale=status == 409,
    )


def _worded(found: Incident) -> dict[int, list[tuple[str, str]]]:
    """What some are told in words of their own, with whom, by update. At most three queries."""
    by_update = told_apart.wordings_of([each.id for each in found.updates])
    names = told_apart.audience_names(each for wordings in by_update.values() for each in wordings)
    return {
        update_id: [(names.get(each.key, "Nobody any more"), each.text) for each in wordings]
        for update_id, wordings in by_update.items()
    }


def _stale_update(incident_id: int, form: UpdateForm, now: datetime) -> Response:
    """Somebody else wrote first: both are shown, the text is kept, and sending it again is a decision."""
    events.rollback()
    found = _incident(incident_id)
    seen_version = form.version.data or 0
    form.version.data = found.version
    newer = max(1, found.version - seen_version)
    return _incident_page(found, form, now, 409, missed=queries.updates_for(STAFF, found)[:newer])


def _stale_edit(incident_id: int, form: EditForm) -> Response:
    events.rollback()
    found = _incident(incident_id)
    form.version.data = found.version
    return _edit_page(found, form, 409, is_stale=True)


# Previews


def _preview_answer(found: Preview) -> Response:
    return render("admin/incidents/preview.html", "admin/incidents/preview.html", preview=found)


def _only_read() -> None:
    """A preview comes as a POST, because a text is too long for an address, but writes nothing: let go of the lock."""
    events.rollback()
    read_only.set(True)


def preview_of_report(form: ReportForm, now: datetime) -> Preview:
    """What publishing the form as it stands would do."""
    since = now - timedelta(minutes=form.began.data or 0)
    texts = _texts(form, form.title.data or "", list(form.components.data), since, form.zone_name())
    shown = Shown(
        title=texts.title,
        body=texts.body,
        state=_known(State, form.state.data, State.INVESTIGATING),
        severity=worst(form.components.data.values()),
        since=since,
        next_update=_promised(form.promise(), form.state.data, now),
    )
    return preview_of(
        shown,
        form.components.data,
        verb="Publish",
        audience=_known(Audience, form.audience.data, Audience.EVERYONE),
        visibility=_known(Visibility, form.visibility.data, Visibility.PUBLIC),
        notify=form.notify.data,
        affected_only=form.affected_only.data,
        texts=texts,
        now=now,
    )


def _texts(form: Any, title: str, component_ids: list[int], began_at: datetime, zone: str) -> Texts:
    """The texts of a form with its variables filled as far as they are."""
    return preview_texts(
        title,
        form.body.data or "",
        form.wordings.data,
        form.values.data,
        component_ids,
        began_at=began_at,
        zone=zone,
        translations=form.translations.data,
    )


def _preview_of_update(found: Incident, form: UpdateForm, now: datetime) -> Preview:
    state = _known(State, form.state.data, found.state)
    promised = _promised(form.promise(), state, now)
    components = {each.component_id for each in found.components} | set(form.components.data)
    texts = _texts(form, "", sorted(components), now, zone_of_reader())
    shown = shown_after(found, state, _moved(found, form.components.data), texts.body, promised)
    return preview_of(
        shown,
        components,
        incident_id=found.id,
        verb=VERBS[move(found.state, state)],
        audience=found.audience,
        visibility=found.visibility,
        is_note=form.visibility.data == Visibility.PRIVATE,
        notify=form.notify.data,
        affected_only=form.affected_only.data,
        texts=texts,
        now=now,
    )


def _promised(promise: timedelta | None, state: str | None, now: datetime) -> datetime | None:
    # A minute later, because what is shown counts whole minutes and is read a moment after it was computed.
    return now + promise + timedelta(seconds=59) if promise and state != State.FIXED else None


def _known(kind: Any, value: str | None, otherwise: Any) -> Any:
    """The member of this name; a form that is still being filled in may hold anything."""
    return kind(value) if value in list(kind) else otherwise


# Small steps


class Wish(StrEnum):
    """What the button that sent the form of a report asks for."""

    PUBLISH = "publish"
    DRAFT = "draft"
    LATER = "later"

    @classmethod
    def of(cls, sent: str | None) -> "Wish":
        return cls(sent) if sent in list(cls) else cls.PUBLISH


def is_whole(form: ReportForm, wish: Wish) -> bool:
    """Whether the form is filled in, as far as it must be: a draft need not have a title or a text yet."""
    if form.validate():
        return True
    missing = [name for name in ("title", "body") if not (form[name].data or "").strip()]
    if wish is Wish.DRAFT and set(form.errors) <= set(missing):
        for name in missing:
            form[name].errors = []
        return True
    return False


def wished_time(form: ReportForm, wish: Wish) -> datetime | None:
    """When the clock is to publish it; RuleViolation where that is wished and no time is chosen."""
    if wish is not Wish.LATER:
        return None
    moment = form.publish_time()
    if moment is None:
        raise RuleViolation("Choose the time at which it is published.", "publish_at")
    return moment


def asks_to_fill(form: Any) -> bool:
    """Whether the form was sent for a template, or for room for one more wording; then it is not sent yet.

    A template says what it says something of, and replaces what another one said. What was typed stays: a title as it
    is, a text above that of the template; components that are chosen stay chosen.
    """
    wanted = request.form.get("use", "")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        template = template_by_id(int(wanted))
        if template is not None and template.archived_at is None:
            _use(form, template)
        return True
    return "use" in request.form or request.form.get("do") == "more"


def _use(form: Any, template: IncidentTemplate) -> None:
    others = live_templates()
    form.body.data = _beside_what_was_typed(form.body.data or "", template.body, [each.body for each in others])
    if template.title and "title" in form and _is_of_templates(form.title.data, [each.title for each in others]):
        form.title.data = template.title
    titles = template.titles if "title" in form else {}
    form.translations.data = translations_of(title=titles, body=template.bodies)
    if template.state is not None:
        form.state.data = template.state.value
    if template.audience is not None and "audience" in form:
        form.audience.data = template.audience.value
    form.components.data = {**form.components.data, **severities_of(template)}
    form.notify.data = template.notify
    if template.promise is not None:
        form.next_update.data = template.promise


def _is_of_templates(typed: str | None, texts: Sequence[str | None]) -> bool:
    """Whether nobody typed this: it is empty, or what a template says word for word."""
    words = (typed or "").split()
    return not words or any(words == (each or "").split() for each in texts)


def _beside_what_was_typed(typed: str, text: str, others: Sequence[str]) -> str:
    """The text of a template; below what was typed, where somebody did."""
    return text if _is_of_templates(typed, others) else f"{typed.rstrip()}\n\n{text}"


def zone_of_reader() -> str:
    """The time zone of whoever is signed in, if it is one there is."""
    found = access.signed_in().time_zone
    return found if found in dict(TIME_ZONES) else "UTC"


def _may_publish() -> bool:
    return may(access.signed_in().role, Permission.INCIDENTS_PUBLISH)


def _may_set() -> bool:
    return may(access.signed_in().role, Permission.SERVICES_SET)


def _incident(incident_id: int) -> Incident:
    found = queries.incident_for_staff(incident_id)
    if found is None:
        raise NotFound
    return found


def _update(found: Incident, update_id: int) -> IncidentUpdate:
    for update in found.updates:
        if update.id == update_id:
            return update
    raise NotFound


def _fresh_update_form(found: Incident) -> UpdateForm:
    """The update form as it opens: the state there is (or the one the link asks for), and every severity."""
    form = UpdateForm(formdata=None)
    wanted = request.args.get("state")
    form.state.data = wanted if wanted in list(State) else found.state.value
    form.components.data = {each.component_id: each.severity for each in found.components}
    form.version.data = found.version
    return form


def _moved(found: Incident, named: Mapping[int, Severity]) -> dict[int, Severity]:
    """Those of the named severities that differ from what stands."""
    standing = {each.component_id: each.severity for each in found.components}
    return {each: severity for each, severity in named.items() if standing.get(each) is not severity}


def _fill_in(form: ReportForm) -> None:
    form.title.data = request.args.get("title", "")[:200]
    wanted = request.args.get("component", "")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        form.components.data = {int(wanted): SEVERITIES[0]}


def _filters() -> Filters:
    """The filters of the address; what is not known narrows nothing."""
    given = request.args
    shown = given.get("show", "")
    component = given.get("component", "")
    return Filters(
        text=text_wanted(),
        state=State(given["state"]) if given.get("state") in list(State) else None,
        is_open={"open": True, "fixed": False}.get(shown),
        visibility=Visibility.PRIVATE if shown == "private" else None,
        component_id=int(component) if component.isascii() and component.isdigit() and len(component) < 10 else None,
    )


def _address(**changes: str | None) -> str:
    """The address of the list with other filters; the page begins anew."""
    wanted = {**request.args.to_dict(), **changes}
    wanted.pop("page", None)
    query = urlencode({name: value for name, value in wanted.items() if value})
    return url_for("admin_incidents.index") + (f"?{query}" if query else "")
