"""`/admin/catalogue/components`: what can break, in its order, and who each part of it reaches."""

from typing import Any

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.catalogue.components.forms import (
    ComponentForm,
    DependentsForm,
    GroupForm,
    NewComponentForm,
    NewGroupForm,
    OrderForm,
)
from portal.admin.catalogue.components.status import status_parts
from portal.admin.forms import RowForm, choices_of, page_wanted, text_wanted
from portal.catalogue import actions
from portal.catalogue.models import Component, ComponentGroup
from portal.catalogue.queries import component_by_id, component_groups, group_by_id, lists, reach_of
from portal.catalogue.rules.folding import Fold
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render, wants_fragment
from portal.incidents import actions as incident_actions
from portal.incidents import queries as incidents
from portal.incidents.queries import Filters
from portal.incidents.queries.availability import weights_now
from portal.incidents.queries.base import standing_by_hand

blueprint = Blueprint("admin_components", __name__, url_prefix="/admin/catalogue/components")
access.staff(blueprint, Permission.STAFF_ENTER)

LIST = "/admin/catalogue/components"
SHOWN_INCIDENTS = 5
STEPS = {"up": -1, "down": 1}


@blueprint.get("")
def component_list() -> Response:
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
            actions.step_component(token, STEPS.get(direction, 0), **edit)
        else:
            actions.arrange_components((form.order.data or "").split(","), **edit)
    except StaleEdit:
        if not wants_fragment():
            raise
        events.rollback()
        return _list(409, notice="Somebody else changed the list in the meantime. This is how it stands now.")
    events.commit()
    return _list() if wants_fragment() else redirect_to(LIST)


@blueprint.route("/new", methods=["GET", "POST"])
def new_component() -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    form = NewComponentForm(group_id=_group_asked_for())
    _offer_groups(form)
    if not form.validate_on_submit():
        return _form(form, None, 422 if form.is_submitted() else 200)
    try:
        component = actions.add_component(
            form.title.data or "",
            description=form.description.data,
            group_id=form.group_id.data,
            only_if_degraded=form.only_if_degraded.data,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _form(form, None, 422)
    address = f"{LIST}/{component.id}"
    events.commit()
    flash(f"{form.title.data} is on the list. Say below which services depend on it.")
    return redirect_to(address)


@blueprint.get("/<int:component_id>")
def component(component_id: int) -> Response:
    """One component: how it is and was, what depends on it, who is reached, its incidents."""
    return _component(_wanted(component_id))


@blueprint.route("/<int:component_id>/edit", methods=["GET", "POST"])
def edit_component(component_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    edited = _wanted(component_id)
    form = ComponentForm(obj=edited)
    _offer_groups(form)
    if not form.validate_on_submit():
        return _form(form, edited, 422 if form.is_submitted() else 200)
    try:
        actions.edit_component(
            edited,
            form.title.data or "",
            description=form.description.data,
            group_id=form.group_id.data,
            only_if_degraded=form.only_if_degraded.data,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _form(form, edited, 422)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{component_id}")


@blueprint.post("/<int:component_id>/dependents")
def set_dependents(component_id: int) -> Response:
    """Which services depend on it from now on."""
    access.require(Permission.CATALOGUE_EDIT)
    wanted = _wanted(component_id)
    form = DependentsForm()
    if not form.validate_on_submit():
        return _component(wanted, 422, form)
    try:
        actions.set_dependents(wanted, form.service_ids.data or (), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        form.refuse(violation)
        return _component(wanted, 422, form)
    events.commit()
    flash("Saved. It counts from now on; what was true before is kept for uptime.")
    return redirect_to(f"{LIST}/{component_id}")


@blueprint.post("/<int:component_id>/archive")
def archive_component(component_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    wanted, form = _wanted(component_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    still_open = incidents.report_history(Filters(is_open=True, component_id=component_id), 1)
    now = clock.utcnow()
    incident_actions.end_base_status(wanted, by=access.actor(), now=now)
    actions.archive_component(
        wanted,
        version=form.version.data or 0,
        open_incidents=[incident.title for incident in still_open.items] if still_open else [],
        by=access.actor(),
        now=now,
    )
    title = wanted.title
    events.commit()
    flash(f"{title} is archived. Its history stays.")
    return redirect_to(LIST)


@blueprint.post("/<int:component_id>/restore")
def restore_component(component_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    wanted, form = _wanted(component_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    actions.restore_component(wanted, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("Back on the list. Say below which services depend on it.")
    return redirect_to(f"{LIST}/{component_id}")


@blueprint.route("/groups/new", methods=["GET", "POST"])
def new_group() -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    form = NewGroupForm()
    if not form.validate_on_submit():
        return _group_form(form, None, 422 if form.is_submitted() else 200)
    try:
        actions.add_group(form.name.data or "", fold=Fold(form.fold.data), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        form.refuse(violation)
        return _group_form(form, None, 422)
    events.commit()
    flash("The group is at the end of the list.")
    return redirect_to(LIST)


@blueprint.route("/groups/<int:group_id>", methods=["GET", "POST"])
def group(group_id: int) -> Response:
    """The name of a group, how it stands on status pages, and how to remove it."""
    access.require(Permission.CATALOGUE_EDIT)
    wanted = group_by_id(group_id) or abort(404)
    form = GroupForm(obj=wanted)
    if not form.validate_on_submit():
        return _group_form(form, wanted, 422 if form.is_submitted() else 200)
    try:
        actions.edit_group(
            wanted,
            form.name.data or "",
            fold=Fold(form.fold.data),
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _group_form(form, wanted, 422)
    events.commit()
    flash("Saved.")
    return redirect_to(LIST)


@blueprint.post("/groups/<int:group_id>/remove")
def remove_group(group_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    wanted, form = group_by_id(group_id) or abort(404), RowForm()
    if not form.validate_on_submit():
        abort(422)
    actions.remove_group(wanted, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("The group is gone. Its components stand at the top now.")
    return redirect_to(LIST)


def _wanted(component_id: int) -> Component:
    return component_by_id(component_id) or abort(404)


def _group_asked_for() -> int | None:
    return request.args.get("group", type=int)


def _offer_groups(form: NewComponentForm) -> None:
    form.group_id.choices = choices_of([("", "No group"), *((each.id, each.name) for each in component_groups())])


def _list(status: int = 200, notice: str = "") -> Response:
    now = clock.utcnow()
    text, is_archived = text_wanted(), request.args.get("show") == "archived"
    found = lists.components_found(text, is_archived=is_archived, page=page_wanted()) if text or is_archived else None
    blocks = [] if found else lists.component_blocks()
    shown = found.items if found else [each for block in blocks for each in block.components]
    in_use, archived = lists.component_counts()
    return render(
        "admin/catalogue/components/component_list.html",
        "admin/catalogue/components/_component_list.html",
        status,
        notice=notice,
        text=text,
        is_archived=is_archived,
        found=found,
        blocks=blocks,
        version=lists.list_version(actions.COMPONENTS),
        in_use=in_use,
        archived=archived,
        statuses=incidents.component_statuses(STAFF, now),
        by_hand=standing_by_hand(now),
        services=lists.services_by_component([each.id for each in shown], now),
        may_edit=may(access.signed_in().role, Permission.CATALOGUE_EDIT),
    )


def _component(wanted: Component, status: int = 200, form: DependentsForm | None = None) -> Response:
    now = clock.utcnow()
    dependencies = lists.dependencies_on(wanted.id, now)
    form = form or DependentsForm(formdata=None, service_ids=[each.service_id for each in dependencies])
    form.service_ids.choices = choices_of((each.id, each.name) for each in lists.all_services())
    reported = incidents.report_history(Filters(component_id=wanted.id), 1)
    return render(
        "admin/catalogue/components/component.html",
        "admin/catalogue/components/_component.html",
        status,
        component=wanted,
        history=incidents.history_bars([wanted.id], now, STAFF)[wanted.id],
        uptime=incidents.uptimes([wanted], now, STAFF)[wanted.id],
        weights=weights_now(now),
        reach=reach_of([wanted.id], now),
        dependencies=dependencies,
        holdings=lists.holdings_on(wanted.id, page_wanted(), now),
        reported=reported,
        reports_shown=reported.items[:SHOWN_INCIDENTS] if reported else (),
        form=form,
        may_edit=may(access.signed_in().role, Permission.CATALOGUE_EDIT),
        **status_parts(wanted, now),
    )


def _form(form: NewComponentForm, edited: Component | None, status: int) -> Response:
    return render(
        "admin/catalogue/components/component_form.html",
        "admin/catalogue/components/_component_form.html",
        status,
        form=form,
        component=edited,
    )


def _group_form(form: NewGroupForm, wanted: ComponentGroup | None, status: int) -> Response:
    return render(
        "admin/catalogue/components/group_form.html",
        "admin/catalogue/components/_group_form.html",
        status,
        form=form,
        group=wanted,
    )
