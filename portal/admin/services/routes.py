"""Setting a status: of holdings that are named, or of holders of a service, all or chosen ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import abort, flash, request, url_for
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done
from portal.admin.forms import choices_of, text_wanted
from portal.admin.services.forms import EVERYBODY, NOW, SOME, WITH_CAUSE, BulkForm, SetForm, ids_in, known_status
from portal.admin.services.place import blueprint
from portal.admin.services.preview import Preview, Targets, preview_of, service_targets, targets_named
from portal.admin.services.starter import offered
from portal.catalogue.models import Service
from portal.catalogue.queries.lists import company_by_id, service_by_id
from portal.database import read_only
from portal.domains.queries import all_domains
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render, wants_fragment
from portal.services import actions
from portal.services.actions import starters
from portal.services.models import ServiceUpdate
from portal.services.notes import GUIDES
from portal.services.queries.standing import Linked, earliest_incident
from portal.services.rules import PROBLEMS, Scope, ServiceStatus

HOLDINGS_AT_MOST = 200
"""Holdings an address or a form names; beyond, one chooses among those who hold a service."""

TOO_MANY = f"At most {HOLDINGS_AT_MOST} services are set at once here."

UNKNOWN_NAMED = 5
"""Unknown numbers the sentence beside the field names; the preview lists them all."""

PUT_IN, KEEP = "starter", "keep"


@dataclass(frozen=True)
class Screen:
    """Where the form stands: for holdings that are named, or (`service`) for those who hold one."""

    action: str
    preview: str
    back: str
    targets: Targets
    cause: Linked | None
    service: Service | None = None


@blueprint.route("/set", methods=["GET", "POST"])
def set_named() -> Response:
    """Set the status of the holdings the address names: `holding`, once for each. `status` chooses one beforehand."""
    access.require(Permission.SERVICES_SET)
    now, form = clock.utcnow(), SetForm()
    if not form.is_submitted():
        named = ids_in(request.args.getlist("holding"))
        form.holding.data = named[:HOLDINGS_AT_MOST]
        if not named:
            return _choose_first()
        if len(named) > HOLDINGS_AT_MOST:
            flash(f"{TOO_MANY} Here are the first {HOLDINGS_AT_MOST} of {len(named):,}; the others are left out.")
    return _answer(form, _named(form, now), now)


@blueprint.post("/set/preview")
def preview_named() -> Response:
    """What setting it as the form stands would do."""
    access.require(Permission.SERVICES_SET)
    _only_read()
    now, form = clock.utcnow(), SetForm()
    return _preview_answer(_preview(form, _named(form, now), now))


@blueprint.route("/<int:service_id>/set", methods=["GET", "POST"])
def set_service(service_id: int) -> Response:
    """Set the status of a service for all who hold it, or for those chosen among them."""
    access.require(Permission.SERVICES_SET)
    now, form = clock.utcnow(), _bulk_form()
    if not form.is_submitted():
        form.text.data = text_wanted()
        form.to.data = SOME if form.text.data or request.args.get("to") == SOME else EVERYBODY
    else:
        try:
            form.read_file()
        except RuleViolation as violation:
            form.refuse(violation)
            return _page(form, _of_service(form, service_id, now), now, 422)
    return _answer(form, _of_service(form, service_id, now), now)


@blueprint.post("/<int:service_id>/set/preview")
def preview_service(service_id: int) -> Response:
    """The same for the form of a service."""
    access.require(Permission.SERVICES_SET)
    _only_read()
    now, form = clock.utcnow(), _bulk_form()
    return _preview_answer(_preview(form, _of_service(form, service_id, now), now))


# What both forms share


def _answer(form: SetForm, screen: Screen, now: datetime) -> Response:
    if not form.is_submitted():
        _open(form, screen)
        return _page(form, screen, now)
    if request.form.get(PUT_IN):
        _put_in(form, request.form[PUT_IN])
        return _page(form, screen, now)
    if request.form.get("do") == KEEP:
        return _keep(form, screen, now)
    if not form.validate():
        return _page(form, screen, now, 422)
    try:
        made = _set(form, screen, now)
        sentence = _sentence(made)
        address = url_for("admin_service_status.update", update_id=made.id)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(_beside(form, violation))
        return _page(form, _again(form, screen, now), now, 422)
    flash(done(sentence))
    return redirect_to(address)


def _set(form: SetForm, screen: Screen, now: datetime) -> ServiceUpdate:
    wanted = form.wanted(screen.cause.started_at if screen.cause else None)
    targets = screen.targets
    if targets.trouble:
        raise RuleViolation(targets.trouble, "accounts")
    skips = isinstance(form, BulkForm) and form.skips_unknown.data
    if targets.unknown and not skips:
        raise RuleViolation(_unknown_sentence(targets), "accounts")
    holding_ids = _holding_ids(form, targets)
    return actions.set_status(
        holding_ids,
        wanted,
        scope=_scope(form, holding_ids),
        chosen=_chosen(form, targets),
        by=access.actor(),
        author_id=access.signed_in().person_id,
        now=now,
        idempotency_key=f"form:{form.key.data}",
    )


def _holding_ids(form: SetForm, targets: Targets) -> Sequence[int]:
    """For whom it is set: those who are chosen, or all that the form names, whether they are still there or not."""
    if isinstance(form, BulkForm):
        return targets.holding_ids
    if len(form.holding.data) > HOLDINGS_AT_MOST:
        raise RuleViolation(f"{TOO_MANY} This form names {len(form.holding.data):,}.")
    return form.holding.data


def _scope(form: SetForm, holding_ids: Sequence[int]) -> Scope:
    if isinstance(form, BulkForm) and form.to.data == EVERYBODY:
        return Scope.ALL
    return Scope.ONE if len(holding_ids) == 1 else Scope.CHOSEN


def _chosen(form: SetForm, targets: Targets) -> dict[str, object]:
    """How they were chosen, as the page of the update says it later."""
    if not isinstance(form, BulkForm):
        return {}
    if form.to.data == EVERYBODY:
        return {"everybody": True}
    choice = form.choice()
    portal = next((each.brand for each in all_domains() if each.id == choice.domain_id), "")
    said = {
        "text": choice.text,
        "portal": portal,
        "numbers": len(choice.numbers or ()),
        "unknown": list(targets.unknown)[:1000],
    }
    return {name: value for name, value in said.items() if value}


def _beside(form: SetForm, violation: RuleViolation) -> RuleViolation:
    """The refusal with the field it stands beside here: nobody chosen is said where one chooses."""
    if violation.field == "holdings":
        return RuleViolation(violation.sentence, "to" if isinstance(form, BulkForm) else None)
    return violation


def _unknown_sentence(targets: Targets) -> str:
    count = len(targets.unknown)
    named = ", ".join(targets.unknown[:UNKNOWN_NAMED]) + (" …" if count > UNKNOWN_NAMED else "")
    whose = "this number goes by nobody" if count == 1 else f"{count:,} numbers go by nobody"
    return f"Of those who hold the service, {whose}: {named}. Correct them, or say that they are left out."


def _sentence(made: ServiceUpdate) -> str:
    count = f"{made.holdings:,} {'service' if made.holdings == 1 else 'services'}"
    if made.status is ServiceStatus.SCHEDULED:
        return f"Announced for {count}."
    return f"Set for {count}."


def _open(form: SetForm, screen: Screen) -> None:
    """The form as it opens: in the reader's zone, and from when the incident began where one is open."""
    form.zone.data = access.signed_in().time_zone
    status = known_status(request.args.get("status"))
    if status is not None:
        form.status.data = status.value
    form.began.data = WITH_CAUSE if screen.cause and status in (None, *PROBLEMS) else NOW
    form.ticket.data = request.args.get("ticket", "")[:60]


def _put_in(form: SetForm, name: str) -> None:
    """Notes to begin with, where no script has put them in: after what is typed already."""
    found = next((each for each in offered() if each.name == name), None)
    if found is None:
        abort(422)
    typed = (form.notes.data or "").strip()
    form.notes.data = f"{typed}\n\n{found.body}" if typed else found.body
    form.status.data = form.status.data or found.status.value


def _keep(form: SetForm, screen: Screen, now: datetime) -> Response:
    """Keep the notes as they are typed as some to begin with; the form goes on where it was."""
    status = form.chosen_status()
    try:
        if status is None:
            raise RuleViolation("Choose the status they are for first.", "status")
        starters.keep(
            status,
            form.starter_title.data or "",
            form.notes.data or "",
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        field = {"title": "starter_title", "body": "notes"}.get(violation.field or "", violation.field)
        form.refuse(RuleViolation(violation.sentence, field))
        return _page(form, _again(form, screen, now), now, 422)
    form.starter_title.data = ""
    return _page(form, _again(form, screen, now), now, is_kept=True)


# Pages


def _page(form: SetForm, screen: Screen, now: datetime, status: int = 200, *, is_kept: bool = False) -> Response:
    return render(
        "admin/services/set.html",
        "admin/services/_set_form.html",
        status,
        form=form,
        screen=screen,
        guides=GUIDES,
        starters=offered(),
        preview=_preview(form, screen, now),
        is_kept=is_kept,
        is_beside=wants_fragment(),
        now=now,
    )


def _preview(form: SetForm, screen: Screen, now: datetime) -> Preview:
    began_at = screen.cause.started_at if screen.cause else None
    return preview_of(form, screen.targets, began_at, now, zone=access.signed_in().time_zone)


def _preview_answer(found: Preview) -> Response:
    template = "admin/services/setting/preview.html"
    return render(template, template, preview=found, now=clock.utcnow())


def _only_read() -> None:
    """A preview comes as a POST, because a text is too long for an address, but writes nothing: let go of the lock."""
    events.rollback()
    read_only.set(True)


def _named(form: SetForm, now: datetime) -> Screen:
    targets = targets_named(form.holding.data[:HOLDINGS_AT_MOST], now)
    if not targets.holding_ids and not form.is_submitted():
        abort(404)
    company = targets.company_id
    return Screen(
        action=url_for("admin_service_status.set_named"),
        preview=url_for("admin_service_status.preview_named"),
        back=url_for("admin_companies.company", company_id=company, _anchor="holdings")
        if company
        else "/admin/services",
        targets=targets,
        cause=earliest_incident(targets.service_ids, targets.holding_ids, now),
    )


def _of_service(form: BulkForm, service_id: int, now: datetime) -> Screen:
    service = service_by_id(service_id)
    if service is None or service.archived_at is not None:
        abort(404)
    return Screen(
        action=url_for("admin_service_status.set_service", service_id=service_id),
        preview=url_for("admin_service_status.preview_service", service_id=service_id),
        back="/admin/services",
        targets=service_targets(service, form, now),
        cause=earliest_incident([service_id], [], now),
        service=service,
    )


def _again(form: SetForm, screen: Screen, now: datetime) -> Screen:
    """The screen read anew: what was loaded went with the transaction."""
    if isinstance(form, BulkForm) and screen.service is not None:
        return _of_service(form, screen.targets.service_ids[0], now)
    return _named(form, now)


def _bulk_form() -> BulkForm:
    form = BulkForm()
    form.domain_id.choices = choices_of([(0, "Any"), *((each.id, each.brand) for each in all_domains())])
    return form


def _choose_first() -> Response:
    """Nothing was ticked: back to where one ticks."""
    company = company_by_id(request.args.get("company", 0, type=int))
    if company is None:
        abort(404)
    flash("Tick the services it is about first.")
    return redirect_to(url_for("admin_companies.company", company_id=company.id, _anchor="holdings"))
