"""`/admin/subscribers`: who hears of what is public without a login: added, brought in, resting, forgotten."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, abort, flash, request, stream_with_context

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.forms import RowForm, page_wanted, text_wanted
from portal.admin.subscribers.forms import AddForm, ImportForm, WhyForm
from portal.admin.subscribers.place import LIST, blueprint
from portal.audit import actions as audit
from portal.database import read_only
from portal.domains.queries import all_domains
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.queries.conversations import incidents_by_conversation
from portal.notifications.kinds import told_to_subscribers
from portal.notifications.subscribers import actions, following, queries
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberState, finer_in, kinds_in
from portal.records.rules.files import safe_cell

AT_ONCE = 5000
"""Addresses one import takes; more are better brought in in pieces."""

NAMED_AT_MOST = 20
"""Addresses that were left out, as the page names them."""


@blueprint.get("")
def subscriber_list() -> Response:
    """Every subscriber, those in quarantine first, narrowed by address, state, portal and kind."""
    return _list_page()


@blueprint.route("/new", methods=["GET", "POST"])
def add() -> Response:
    """Add one address by hand: of a person, or of a machine or a room, whose addresses staff alone set up unasked."""
    access.require(Permission.SUPPRESSIONS_EDIT)
    form = AddForm()
    if not form.is_submitted():
        return _form_page("add", form)
    if not form.validate() or not form.knows_domain:
        return _form_page("add", form, 422)
    kind, secret = SubscriberKind(form.kind.data), None
    same: dict[str, Any] = {
        "language": form.language.data,
        "consent": form.consent.data or "",
        "by": access.actor(),
        "now": clock.utcnow(),
    }
    wanted = form.domain.data, form.kinds.data or ()
    try:
        if kind is SubscriberKind.EMAIL:
            added = actions.add(wanted[0], form.address.data or "", wanted[1], is_shared=form.is_shared.data, **same)
        else:
            added, secret = actions.add_room(wanted[0], kind, form.address.data or "", wanted[1], **same)
    except RuleViolation as violation:
        form.refuse(violation)
        return _form_page("add", form, 422)
    is_active = added.state is SubscriberState.ACTIVE
    events.commit()
    if secret is not None:
        response = render("admin/subscribers/secret.html", "admin/subscribers/_secret.html", secret=secret)
        response.headers["Cache-Control"] = "no-store"
        return response
    flash("Added. They are told from now on." if is_active else "Added. The address is asked by mail first.")
    return redirect_to(LIST)


@blueprint.route("/import", methods=["GET", "POST"])
def bring_in() -> Response:
    """Add many addresses that have agreed in the same way."""
    access.require(Permission.SUPPRESSIONS_EDIT)
    form = ImportForm()
    if not form.is_submitted():
        return _form_page("bring_in", form)
    if not form.validate() or not form.knows_domain:
        return _form_page("bring_in", form, 422)
    try:
        count, refused = actions.add_many(
            form.domain.data,
            _addresses(form),
            form.kinds.data or (),
            language=form.language.data,
            consent=form.consent.data or "",
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _form_page("bring_in", form, 422)
    events.commit()
    if not refused:
        flash(f"Added {count:,}.")
        return redirect_to(LIST)
    return render(
        "admin/subscribers/brought_in.html",
        "admin/subscribers/_brought_in.html",
        count=count,
        refused=refused[:NAMED_AT_MOST],
        left=len(refused) - NAMED_AT_MOST,
    )


@blueprint.post("/<int:subscriber_id>/quarantine")
def quarantine(subscriber_id: int) -> Response:
    """Tell somebody nothing for now."""
    return _change(subscriber_id, actions.quarantine, "Nothing is sent there for now.")


@blueprint.post("/<int:subscriber_id>/reactivate")
def reactivate(subscriber_id: int) -> Response:
    """Tell somebody again."""
    return _change(subscriber_id, actions.reactivate, "They are told again.")


@blueprint.post("/<int:subscriber_id>/remove")
def remove(subscriber_id: int) -> Response:
    """Forget a subscriber and the address."""
    access.require(Permission.SUPPRESSIONS_EDIT)
    subscriber, form = _subscriber(subscriber_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    if form.version.data != subscriber.version:
        raise StaleEdit
    actions.remove(subscriber, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("Forgotten.")
    return redirect_to(LIST)


@blueprint.post("/export")
def export() -> Response:
    """The list as it is narrowed, as CSV."""
    access.require(Permission.RECORDS_EXPORT)
    access.require_recent_password()
    filters = _filters()
    total = queries.subscribers_page(filters, 1).total
    now = clock.utcnow()
    after = {"count": total, "search": {name: value for name, value in request.args.items() if name != "q"}}
    audit.record("subscriber.export", object_kind="subscriber", object_id=None, by=access.actor(), now=now, after=after)
    events.commit()
    read_only.set(True)
    response = Response(stream_with_context(_csv(filters)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="subscribers-{now:%Y-%m-%d}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _csv(filters: queries.Filters) -> Iterator[str]:
    yield _row(["Address", "Kind", "Portal", "State", "Hears of", "Language", "How they agreed", "Since", "Confirmed"])
    for each, brand, followed in _in_pieces(filters):
        yield _row(
            [
                each.address,
                each.kind,
                brand,
                each.state,
                " ".join([*each.topics, *followed]),
                each.language,
                each.consent,
                each.created_at.isoformat(timespec="seconds"),
                each.confirmed_at.isoformat(timespec="seconds") if each.confirmed_at else "",
            ]
        )


def _in_pieces(filters: queries.Filters) -> Iterator[tuple[Subscriber, str, list[str]]]:
    """Every subscriber with the brand of its portal and what it follows, read a piece at a time."""
    for piece in queries.in_pieces(filters):
        followed = following.followed_by([each.subscriber.id for each in piece])
        yield from ((each, brand, followed.get(each.id, [])) for each, brand in piece)


def _row(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([safe_cell(str(each)) for each in cells])
    return line.getvalue()


def _addresses(form: ImportForm) -> list[str]:
    """The addresses of the text and the first column of the file; RuleViolation for too many, none, or no text."""
    text = form.addresses.data or ""
    if form.file.data:
        try:
            text += "\n" + form.file.data.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RuleViolation("This file is no text in UTF-8.", "file") from None
    first = [line.replace(";", ",").partition(",")[0].strip().strip('"') for line in text.splitlines()]
    found = [each for each in first if each]
    if found and "@" not in found[0]:
        # The heading of a column.
        found = found[1:]
    if not found:
        raise RuleViolation("There is no address in it.", "addresses")
    if len(found) > AT_ONCE:
        raise RuleViolation(f"These are {len(found):,} addresses. Bring in at most {AT_ONCE:,} at once.", "addresses")
    return found


def _change(subscriber_id: int, action: Callable[..., None], done: str) -> Response:
    access.require(Permission.SUPPRESSIONS_EDIT)
    subscriber, form = _subscriber(subscriber_id), WhyForm()
    if not form.validate() or form.version.data is None:
        return _list_page(form, subscriber_id, 422)
    try:
        action(subscriber, why=form.why.data or "", version=form.version.data, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        form.refuse(violation)
        return _list_page(form, subscriber_id, 422)
    events.commit()
    flash(done)
    return redirect_to(LIST)


def _subscriber(subscriber_id: int) -> Subscriber:
    return queries.by_id(subscriber_id, to_change=True) or abort(404)


def _filters() -> queries.Filters:
    state, kind, domain = (request.args.get(name, "") for name in ("state", "kind", "portal"))
    return queries.Filters(
        text_wanted(),
        SubscriberState(state) if state in set(SubscriberState) else None,
        int(domain) if domain.isascii() and domain.isdigit() and len(domain) <= 9 else None,
        SubscriberKind(kind) if kind in set(SubscriberKind) else None,
    )


def _list_page(refused: WhyForm | None = None, refused_id: int | None = None, status: int = 200) -> Response:
    filters = _filters()
    role = access.signed_in().role
    labels = told_to_subscribers()
    listed = queries.subscribers_page(filters, page_wanted())
    followed = following.followed_by([each.subscriber.id for each in listed.items])
    return render(
        "admin/subscribers/subscriber_list.html",
        "admin/subscribers/_subscriber_list.html",
        status,
        listed=listed,
        followed=followed,
        incidents=incidents_by_conversation({key for keys in followed.values() for key in keys}),
        counts=queries.counts(filters.domain_id),
        filters=filters,
        states=list(SubscriberState),
        domains=all_domains(),
        heard_of=lambda topics: [str(labels.get(each, each)) for each in kinds_in(topics)],
        parts_of=lambda topics: len(finer_in(topics)),
        may_edit=may(role, Permission.SUPPRESSIONS_EDIT),
        may_export=may(role, Permission.RECORDS_EXPORT),
        refused=refused,
        refused_id=refused_id,
    )


def _form_page(name: str, form: AddForm | ImportForm, status: int = 200) -> Response:
    return render(f"admin/subscribers/{name}.html", f"admin/subscribers/_{name}.html", status, form=form)
