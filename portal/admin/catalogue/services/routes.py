"""`/admin/catalogue/services`: what is sold, what each depends on, and who holds it."""

from typing import Any

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.catalogue.services.forms import (
    ArchiveForm,
    NewServiceForm,
    OrderForm,
    ServiceForm,
    StartersForm,
)
from portal.admin.forms import RowForm, choices_of, page_wanted, text_wanted
from portal.catalogue import actions
from portal.catalogue.models import Service
from portal.catalogue.queries import component_choices, components_of_service, lists, was_ever_held
from portal.catalogue.rules.services import STARTERS, STATUSES
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render, wants_fragment

blueprint = Blueprint("admin_services", __name__, url_prefix="/admin/catalogue/services")
access.staff(blueprint, Permission.STAFF_ENTER)

LIST = "/admin/catalogue/services"
STEPS = {"up": -1, "down": 1}


@blueprint.get("")
def service_list() -> Response:
    """All of them in their order; or those that match a search; or the archived ones."""
    return _list()


@blueprint.post("/order")
def arrange() -> Response:
    """A new order of the whole list, or one step of one row; the list again for htmx."""
    access.require(Permission.CATALOGUE_EDIT)
    form = OrderForm()
    if not form.validate_on_submit():
        abort(422)
    edit: dict[str, Any] = {"version": form.version.data, "by": access.actor(), "now": clock.utcnow()}
    try:
        if form.move.data:
            token, _colon, direction = form.move.data.partition(":")
            actions.step_service(_ids(token)[0], STEPS.get(direction, 0), **edit)
        else:
            actions.arrange_services(_ids(form.order.data or ""), **edit)
    except StaleEdit:
        if not wants_fragment():
            raise
        events.rollback()
        return _list(409, notice="Somebody else changed the list in the meantime. This is how it stands now.")
    events.commit()
    return _list() if wants_fragment() else redirect_to(LIST)


@blueprint.route("/new", methods=["GET", "POST"])
def new_service() -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    form = NewServiceForm()
    if not form.validate_on_submit():
        return _form(form, None, 422 if form.is_submitted() else 200)
    by, now = access.actor(), clock.utcnow()
    try:
        service = actions.add_service(
            form.name.data or "",
            category=form.category.data or "",
            description=form.description.data,
            details=form.details,
            by=by,
            now=now,
        )
        given = actions.set_global(service, bool(form.is_global.data), by=by, now=now)
        actions.set_dependencies(service, form.component_ids.data or (), by=by, now=now)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, None, 422)
    address = f"{LIST}/{service.id}"
    events.commit()
    if given:
        flash(f"The service is on the list, and {_companies(given)} now.")
    else:
        flash("The service is on the list. Companies come to hold it on their own pages.")
    return redirect_to(address)


@blueprint.get("/<int:service_id>")
def service(service_id: int) -> Response:
    """One service: what it depends on, and who holds it."""
    wanted, now, text = _wanted(service_id), clock.utcnow(), text_wanted()
    holdings = lists.holdings_of_service(wanted.id, text, page_wanted(), now)
    return render(
        "admin/catalogue/services/service.html",
        "admin/catalogue/services/_service.html",
        service=wanted,
        text=text,
        holdings=holdings,
        holders=lists.holders_by_service([wanted.id], now).get(wanted.id, 0),
        components=lists.components_by_service([wanted.id], now).get(wanted.id, []),
        own=lists.own_components_by_holding([each.id for each in holdings.items], now),
        held=lists.holdings_count(wanted.id, now),
        was_ever_held=was_ever_held(wanted.id),
        mailed=STATUSES if wanted.notifies is None else wanted.notifies,
        may_set=may(access.signed_in().role, Permission.SERVICES_SET),
        may_edit=may(access.signed_in().role, Permission.CATALOGUE_EDIT),
    )


@blueprint.route("/<int:service_id>/edit", methods=["GET", "POST"])
def edit_service(service_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    edited, by, now = _wanted(service_id), access.actor(), clock.utcnow()
    form = ServiceForm(
        **{name: getattr(edited, name) for name in ("name", "category", "description", "icon", "is_global", "version")},
        component_ids=sorted(components_of_service(service_id, now)),
        aliases=", ".join(edited.aliases),
        notifies=STATUSES if edited.notifies is None else edited.notifies,
    )
    if not form.validate_on_submit():
        return _form(form, edited, 422 if form.is_submitted() else 200)
    try:
        actions.edit_service(
            edited,
            form.name.data or "",
            category=form.category.data or "",
            description=form.description.data,
            details=form.details,
            version=form.version.data or 0,
            by=by,
            now=now,
        )
        given = 0
        if edited.archived_at is None:
            given = actions.set_global(edited, bool(form.is_global.data), by=by, now=now)
            actions.set_dependencies(edited, form.component_ids.data or (), by=by, now=now)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, edited, 422)
    events.commit()
    flash(f"Saved. {_companies(given)} now." if given else "Saved.")
    return redirect_to(f"{LIST}/{service_id}")


@blueprint.post("/<int:service_id>/archive")
def archive_service(service_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    wanted, form = _wanted(service_id), ArchiveForm()
    if not form.validate_on_submit():
        abort(422)
    ended = actions.archive_service(
        wanted,
        version=form.version.data or 0,
        ends_holdings=bool(form.ends_holdings.data),
        by=access.actor(),
        now=clock.utcnow(),
    )
    name = wanted.name
    events.commit()
    holdings = f" {ended:,} holding{'s' if ended > 1 else ''} ended with it." if ended else ""
    flash(f"{name} is archived.{holdings} Its history stays.")
    return redirect_to(LIST)


@blueprint.post("/<int:service_id>/delete")
def delete_service(service_id: int) -> Response:
    """Only what nobody ever held; anything else is archived."""
    access.require(Permission.CATALOGUE_EDIT)
    wanted, form = _wanted(service_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    name = wanted.name
    actions.delete_service(wanted, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(f"{name} is gone.")
    return redirect_to(LIST)


@blueprint.post("/starters")
def add_starters() -> Response:
    """The services to begin with, as far as they were ticked; twice does nothing twice."""
    access.require(Permission.CATALOGUE_EDIT)
    form = StartersForm()
    if not form.validate_on_submit():
        return _list(422, starters=form)
    keys = () if form.declines.data else form.keys.data or ()
    added = actions.add_starters(keys, by=access.actor(), now=clock.utcnow())
    events.commit()
    if added:
        flash(f"{len(added)} service{'s are' if len(added) > 1 else ' is'} on the list. Say what each depends on.")
    return redirect_to(LIST)


@blueprint.post("/<int:service_id>/restore")
def restore_service(service_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    wanted, form = _wanted(service_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    actions.restore_service(wanted, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("Back on the list. It depends on nothing yet.")
    return redirect_to(f"{LIST}/{service_id}")


def _wanted(service_id: int) -> Service:
    return lists.service_by_id(service_id) or abort(404)


def _ids(text: str) -> list[int]:
    """Ids joined by commas; what is no number stands for no service, and so for a list that is not this one."""
    return [int(each) if each.isascii() and each.isdigit() else 0 for each in text.split(",")]


def _companies(given: int) -> str:
    return f"{given:,} {'companies hold' if given > 1 else 'company holds'} it"


def _list(status: int = 200, notice: str = "", starters: StartersForm | None = None) -> Response:
    now = clock.utcnow()
    text, is_archived = text_wanted(), request.args.get("show") == "archived"
    found = lists.services_found(text, is_archived=is_archived, page=page_wanted()) if text or is_archived else None
    services = found.items if found else lists.all_services()
    ids = [each.id for each in services]
    in_use, archived = lists.service_counts()
    may_edit = may(access.signed_in().role, Permission.CATALOGUE_EDIT)
    if starters is None and may_edit and not in_use + archived and lists.offers_starters():
        starters = StartersForm()
    return render(
        "admin/catalogue/services/service_list.html",
        "admin/catalogue/services/_service_list.html",
        status,
        notice=notice,
        text=text,
        is_archived=is_archived,
        found=found,
        services=services,
        version=lists.list_version(actions.SERVICES),
        in_use=in_use,
        archived=archived,
        components=lists.components_by_service(ids, now),
        holders=lists.holders_by_service(ids, now),
        may_edit=may_edit,
        starters=starters,
        offered=STARTERS,
    )


def _form(form: NewServiceForm, edited: Service | None, status: int) -> Response:
    form.component_ids.choices = choices_of((each, title) for each, title, _group in component_choices())
    return render(
        "admin/catalogue/services/service_form.html",
        "admin/catalogue/services/_service_form.html",
        status,
        form=form,
        service=edited,
        categories=lists.service_categories(),
        without=lists.companies_without(edited.id if edited else None, clock.utcnow()),
    )
