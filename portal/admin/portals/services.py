"""What customers of a portal domain see of their services, with exceptions by company, and in which colours."""

from dataclasses import dataclass
from typing import Any

from flask import Response as FlaskResponse
from flask import abort, flash, render_template, request
from flask_babel import force_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response
from wtforms import BooleanField, SelectMultipleField, StringField
from wtforms.validators import Length

from portal import access, clock, events
from portal.accounts.models import Company
from portal.admin.forms import VersionedForm, choices_of, text_wanted
from portal.admin.portals.place import LIST, blueprint, domain_or_404, show
from portal.assets import made_sheet
from portal.brand import DARK, LIGHT, Advice, Oklch, rgb, status_sheet, tone_advice
from portal.catalogue.queries import lists
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.domains.queries import is_admitted
from portal.domains.queries.admissions import companies_page
from portal.errors import RuleViolation, StaleEdit
from portal.filters import ago, local_time, local_window, look, worded
from portal.fragments import redirect_to
from portal.language import known
from portal.services.actions.settings import SHOWN, remove_view, set_view
from portal.services.queries import ServiceLine, service_lines
from portal.services.queries.settings import View, own_view, view_of
from portal.services.queries.views import exceptions_on, services_to_show
from portal.services.rules import CauseKind, ServiceStatus

COMPANIES_OFFERED = 8
LINES_SHOWN = 8

STALE = "Somebody else changed this in the meantime. Yours stands below; save again to put it over theirs."

USUAL = {
    ServiceStatus.NORMAL: rgb(Oklch(0.6, 0.135, 156)),
    ServiceStatus.SCHEDULED: rgb(Oklch(0.56, 0.15, 256)),
    ServiceStatus.INTERMITTENT: rgb(Oklch(0.635, 0.13, 72)),
    ServiceStatus.DOWN: rgb(Oklch(0.565, 0.205, 25)),
}
"""The colours of statuses where a portal domain has none of its own, those of `10-tokens.css`."""


class ViewForm(VersionedForm):
    """Which services are left out, and what is shown of the others. `show_as` names a company for the preview."""

    hidden = SelectMultipleField("Left out", coerce=int, validate_choice=False)
    shows_notes = BooleanField("Notes")
    shows_history = BooleanField("History")
    shows_tickets = BooleanField("Ticket numbers")
    shows_end_times = BooleanField("End times")
    show_as = StringField("As", validators=[Length(max=200)])

    @property
    def shows(self) -> dict[str, bool]:
        """What is ticked, by name."""
        return {name: bool(self[name].data) for name in SHOWN}

    @property
    def view(self) -> View:
        """What is typed, as customers would see it."""
        return View(frozenset(self.hidden.data or ()), **self.shows)


class ColoursForm(VersionedForm):
    """For each status a colour, and whether it counts."""

    @property
    def colors(self) -> dict[str, str]:
        """Those that count, by the status's value."""
        return {
            status.value: self[f"color_{status.value}"].data or "#"
            for status in ServiceStatus
            if self[f"own_{status.value}"].data
        }


for _status in ServiceStatus:
    setattr(ColoursForm, f"own_{_status.value}", BooleanField("A colour of its own"))
    setattr(ColoursForm, f"color_{_status.value}", StringField("Colour"))


@dataclass(frozen=True)
class PreviewLine:
    """A line as its customer reads it: in the words and the language of the portal domain."""

    name: str
    reference: str
    status: ServiceStatus | None
    word: str
    why: str
    notes: str


@dataclass(frozen=True)
class Preview:
    """A company's list as it would be: its first lines, worst first, and how many there are."""

    company: Company | None
    lines: list[PreviewLine]
    total: int


@blueprint.get("/<int:domain_id>/services")
def services(domain_id: int) -> Response:
    """What customers of this domain see of their services."""
    domain = domain_or_404(domain_id)
    return _services(domain, None, _form(view_of(domain.id, None)))


@blueprint.post("/<int:domain_id>/services")
def set_services(domain_id: int) -> Response:
    return _save(domain_or_404(domain_id), None)


@blueprint.get("/<int:domain_id>/services/companies/<int:company_id>")
def services_of_company(domain_id: int, company_id: int) -> Response:
    """What one company sees there; until it is saved it is what all others see."""
    domain, company = domain_or_404(domain_id), _company(domain_id, company_id)
    own = own_view(domain.id, company.id)
    # Without a view of its own it begins with what all others see.
    form = _form(own or view_of(domain.id, None), version=own.version if own else 0)
    return _services(domain, company, form)


@blueprint.post("/<int:domain_id>/services/companies/<int:company_id>")
def set_services_of_company(domain_id: int, company_id: int) -> Response:
    return _save(domain_or_404(domain_id), _company(domain_id, company_id))


@blueprint.post("/<int:domain_id>/services/companies/<int:company_id>/remove")
def remove_services_of_company(domain_id: int, company_id: int) -> Response:
    """The company sees what all others see again."""
    domain, company, form = domain_or_404(domain_id), _company(domain_id, company_id), ViewForm()
    if not form.validate_on_submit():
        abort(422)
    name = company.name
    remove_view(domain, company.id, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(f"{name} sees what all others see again.")
    return redirect_to(f"{LIST}/{domain_id}/services")


@blueprint.post("/<int:domain_id>/services/preview")
def preview_services(domain_id: int) -> str:
    """The list of a customer as it would be with what is typed. Nothing is written."""
    read_only.set(True)
    domain, form = domain_or_404(domain_id), ViewForm()
    asked = request.args.get("company", type=int)
    company = _company(domain_id, asked) if asked else _shown_as(domain, form.show_as.data or "")
    shown = _preview(domain, company, form.view)
    return render_template("admin/portals/_services_preview.html", shown=shown, domain=domain)


@blueprint.post("/<int:domain_id>/services/colours")
def set_colours(domain_id: int) -> Response:
    """The colours of the statuses."""
    domain, form = domain_or_404(domain_id), ColoursForm()
    if not form.validate_on_submit():
        abort(422)
    try:
        count = domains.set_status_colors(
            domain, form.colors, version=form.version.data or 0, by=access.actor(), now=clock.utcnow()
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(RuleViolation(violation.sentence, f"color_{violation.field}"))
        return _services(domain_or_404(domain_id), None, _form(view_of(domain_id, None)), 422, colours=form)
    except StaleEdit:
        events.rollback()
        domain = domain_or_404(domain_id)
        form.form_errors.append(STALE)
        form.version.data = domain.version
        return _services(domain, None, _form(view_of(domain_id, None)), 409, colours=form)
    events.commit()
    flash(f"Saved: {count} in this portal’s own colours." if count else "All as usual.")
    return redirect_to(f"{LIST}/{domain_id}/services#colours")


@blueprint.get("/<int:domain_id>/services/<int:version>.css")
def colours_sheet(domain_id: int, version: int) -> FlaskResponse:
    """The colours of the statuses of this domain, for previews on its screen."""
    domain = domain_or_404(domain_id)
    return made_sheet(status_sheet(domain.status_colors, ".as-customers"), is_current=version == domain.version)


def _save(domain: PortalDomain, company: Company | None) -> Response:
    form = ViewForm()
    if not form.validate_on_submit():
        return _services(domain, company, form, 422)
    domain_id, company_id = domain.id, company.id if company else None
    whose = company.name if company else f"Customers of {domain.brand}"
    try:
        set_view(
            domain,
            company_id,
            hidden_services=form.hidden.data or (),
            shows=form.shows,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _again(domain_id, company_id, form, 422)
    except StaleEdit:
        events.rollback()
        form.form_errors.append(STALE)
        newer = own_view(domain_id, company_id)
        form.version.data = newer.version if newer else 0
        return _again(domain_id, company_id, form, 409)
    events.commit()
    flash(f"Saved. {whose} see it at once." if company is None else f"Saved. {whose} sees it at once.")
    return redirect_to(f"{LIST}/{domain_id}/services")


def _again(domain_id: int, company_id: int | None, form: ViewForm, status: int) -> Response:
    return _services(domain_or_404(domain_id), _company(domain_id, company_id) if company_id else None, form, status)


def _form(view: View, version: int | None = None) -> ViewForm:
    return ViewForm(
        formdata=None,
        hidden=sorted(view.hidden_services),
        version=view.version if version is None else version,
        **{name: getattr(view, name) for name in SHOWN},
    )


def _services(
    domain: PortalDomain,
    company: Company | None,
    form: ViewForm,
    status: int = 200,
    *,
    colours: ColoursForm | None = None,
) -> Response:
    choices = services_to_show(form.view)
    form.hidden.choices = choices_of((each.id, each.name) for each in choices)
    if company is not None:
        return show(
            "service_view",
            domain,
            status,
            form=form,
            company=company,
            choices=choices,
            shown=_preview(domain, company, form.view),
        )
    text = text_wanted()
    exceptions, total = exceptions_on(domain.id, text)
    known_ids = {each.id for each in exceptions}
    listed = companies_page(domain, text, 1) if text else None
    colours = colours or _colours_form(domain)
    return show(
        "services",
        domain,
        status,
        form=form,
        choices=choices,
        shown=_preview(domain, _shown_as(domain, form.show_as.data or ""), form.view),
        exceptions=exceptions,
        exception_count=total,
        text=text,
        offered=[each.company for each in (listed.items if listed else ()) if each.company.id not in known_ids][
            :COMPANIES_OFFERED
        ],
        colours=colours,
        statuses=tuple(ServiceStatus),
        usual=USUAL,
        advice={value: _advice(color) for value, color in domain.status_colors.items()},
    )


def _colours_form(domain: PortalDomain) -> ColoursForm:
    values: dict[str, Any] = {"version": domain.version}
    for status in ServiceStatus:
        own = domain.status_colors.get(status.value)
        values |= {f"own_{status.value}": own is not None, f"color_{status.value}": own or USUAL[status]}
    return ColoursForm(formdata=None, **values)


def _advice(color: str) -> tuple[Advice, ...]:
    return tuple(each for page in (LIGHT, DARK) if not (each := tone_advice(color, page)).is_kept)


def _shown_as(domain: PortalDomain, name: str) -> Company | None:
    """The company whose list is shown: the first of the domain whose name holds this."""
    listed = companies_page(domain, name.strip(), 1)
    return listed.items[0].company if listed and listed.items else None


def _preview(domain: PortalDomain, company: Company | None, view: View) -> Preview:
    lines = service_lines(company.id, clock.utcnow(), view=view) if company else []
    lines = sorted(lines, key=lambda line: -(line.status or ServiceStatus.NORMAL).rank)
    with force_locale(known(domain.language)), worded(domain.wordings):
        shown = [_preview_line(line) for line in lines[:LINES_SHOWN]]
    return Preview(company, shown, len(lines))


def _preview_line(line: ServiceLine) -> PreviewLine:
    parts = []
    if line.cause is CauseKind.WINDOW and line.starts_at:
        parts.append(local_window(line.starts_at, line.until))
    elif line.since:
        parts.append(f"{_('began')} {ago(line.since)}")
        if line.until:
            parts.append(str(_("Expected to work again by %(time)s", time=local_time(line.until))))
    return PreviewLine(
        name=line.name,
        reference=line.reference,
        status=line.status,
        word=str(look("service", line.status).label) if line.status else "",
        why=" · ".join([*parts, *([line.ticket] if line.ticket else [])]),
        notes=line.notes,
    )


def _company(domain_id: int, company_id: int | None) -> Company:
    company = lists.company_by_id(company_id or 0)
    if company is None or not is_admitted(company.id, domain_id):
        abort(404)
    return company
