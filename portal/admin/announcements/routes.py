"""`/admin/announcements`: what customers are told on a portal domain though nothing is broken."""

from typing import Any

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.announcements.forms import AnnouncementForm, NewAnnouncementForm
from portal.admin.forms import RowForm, choices_of, page_wanted
from portal.domains.announcements import actions
from portal.domains.announcements.models import Announcement
from portal.domains.announcements.queries import announcement_by_id, announcement_page
from portal.domains.announcements.rules import Stage, stage_of
from portal.domains.models import PortalDomain
from portal.domains.queries import all_domains, domain_by_id
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.language import LANGUAGES, zone
from portal.notifications.subscribers.announcing import TOPIC
from portal.notifications.subscribers.hearing import count_by_domain

blueprint = Blueprint("admin_announcements", __name__, url_prefix="/admin/announcements")
access.staff(blueprint, Permission.INCIDENTS_PUBLISH)

LIST = "/admin/announcements"
SHOWN = {"standing": Stage.STANDING, "ahead": Stage.AHEAD, "over": Stage.OVER}
TABS = {"standing": "Now", "ahead": "Ahead", "over": "Over"}
STALE = "Somebody else saved this announcement in the meantime. Yours stands below; save again to put it over theirs."


@blueprint.get("")
def announcement_list() -> Response:
    """The announcements that stand now, that are ahead, or that are over, 50 a page."""
    now, show = clock.utcnow(), request.args.get("show", "standing")
    if show not in SHOWN:
        abort(404)
    found = announcement_page(page_wanted(), now, stage=SHOWN[show]) or abort(404)
    return render(
        "admin/announcements/announcement_list.html",
        "admin/announcements/_announcement_list.html",
        found=found,
        show=show,
        tabs=[(words, f"{LIST}?show={each}", each == show) for each, words in TABS.items()],
        languages=LANGUAGES,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_announcement() -> Response:
    now, domains = clock.utcnow(), all_domains()
    first = domains[0] if domains else abort(404)
    own = zone(first.time_zone)
    beginning = now.astimezone(own).replace(second=0, microsecond=0, tzinfo=None)
    form = NewAnnouncementForm(
        zone=first.time_zone, starts_at=beginning, domain_id=request.args.get("domain", type=int)
    )
    form.domain_id.choices = choices_of((each.id, each.brand) for each in domains)
    if not form.validate_on_submit():
        return _form(form, None, 422 if form.is_submitted() else 200)
    try:
        starts_at, ends_at = form.times()
        made = actions.announce(
            domain_by_id(form.domain_id.data) or abort(404),
            form.wordings,
            starts_at=starts_at,
            ends_at=ends_at,
            is_pinned=form.is_pinned.data,
            tells_subscribers=form.tells_subscribers.data,
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
            idempotency_key=form.key.data or "",
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, None, 422)
    show = _tab_of(made)
    events.commit()
    flash("It stands there now." if show == "standing" else "Saved. It will stand there from its beginning on.")
    return redirect_to(f"{LIST}?show={show}")


@blueprint.route("/<int:announcement_id>", methods=["GET", "POST"])
def announcement(announcement_id: int) -> Response:
    """One announcement, to change, to end, or to take away."""
    wanted = _wanted(announcement_id)
    domain = _domain_of(wanted)
    form = AnnouncementForm(**_typed(wanted, domain), version=wanted.version)
    if not form.validate_on_submit():
        return _form(form, wanted, 422 if form.is_submitted() else 200)
    try:
        starts_at, ends_at = form.times()
        actions.edit(
            wanted,
            domain,
            form.wordings,
            starts_at=starts_at,
            ends_at=ends_at,
            is_pinned=form.is_pinned.data,
            tells_subscribers=form.tells_subscribers.data if wanted.told_at is None else None,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, _wanted(announcement_id), 422)
    except StaleEdit:
        events.rollback()
        newer = _wanted(announcement_id)
        form.form_errors.append(STALE)
        form.version.data = newer.version
        return _form(form, newer, 409)
    show = _tab_of(wanted)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}?show={show}")


@blueprint.post("/<int:announcement_id>/end")
def end_announcement(announcement_id: int) -> Response:
    wanted, form = _wanted(announcement_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    try:
        actions.end(wanted, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        flash(violation.sentence)
        return redirect_to(f"{LIST}/{announcement_id}")
    events.commit()
    flash("It stands there no longer. History keeps it.")
    return redirect_to(LIST)


@blueprint.post("/<int:announcement_id>/remove")
def remove_announcement(announcement_id: int) -> Response:
    wanted, form = _wanted(announcement_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    actions.remove(wanted, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("It is gone, from history and from the feed too.")
    return redirect_to(LIST)


def _form(form: NewAnnouncementForm | AnnouncementForm, wanted: Announcement | None, status: int) -> Response:
    counted = count_by_domain(TOPIC)
    return render(
        "admin/announcements/announcement_form.html",
        "admin/announcements/_announcement_form.html",
        status,
        form=form,
        announcement=wanted,
        domain=_domain_of(wanted) if wanted else None,
        stage=stage_of(wanted.starts_at, wanted.ends_at, clock.utcnow()) if wanted else None,
        languages=LANGUAGES,
        hearing=[(each.id, each.brand, counted[each.id]) for each in all_domains() if each.id in counted],
    )


def _wanted(announcement_id: int) -> Announcement:
    return announcement_by_id(announcement_id) or abort(404)


def _domain_of(announcement: Announcement) -> PortalDomain:
    return domain_by_id(announcement.domain_id) or abort(404)


def _tab_of(announcement: Announcement) -> str:
    return stage_of(announcement.starts_at, announcement.ends_at, clock.utcnow()).value


def _typed(announcement: Announcement, domain: PortalDomain) -> dict[str, Any]:
    """The fields of its form, with the times as a clock of the portal domain shows them."""
    own = zone(domain.time_zone)

    def local(name: str) -> Any:
        moment = getattr(announcement, name)
        return moment.astimezone(own).replace(tzinfo=None) if moment else None

    words = {
        f"{part}_{code}": announcement.wordings.get(code, {}).get(part, "")
        for code in LANGUAGES
        for part in ("title", "body")
    }
    return words | {
        "zone": domain.time_zone,
        "starts_at": local("starts_at"),
        "ends_at": local("ends_at"),
        "is_pinned": announcement.is_pinned,
        "tells_subscribers": announcement.tells_subscribers,
    }
