"""Which companies a portal domain admits, and which have their home there."""

from flask import abort, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.models import Company
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.portals.forms import AdmissionForm
from portal.admin.portals.place import LIST, blueprint, domain_or_404, show
from portal.catalogue.queries import lists
from portal.domains import actions
from portal.domains.queries import home_of
from portal.domains.queries.admissions import companies_page, companies_to_admit
from portal.fragments import redirect_to

COMPANIES_OFFERED = 8


@blueprint.get("/<int:domain_id>/companies")
def companies(domain_id: int) -> Response:
    """The companies by name; searching also offers those that do not sign in here yet."""
    domain, text = domain_or_404(domain_id), text_wanted()
    listed = companies_page(domain, text, page_wanted()) or abort(404)
    offered = companies_to_admit(domain, text, COMPANIES_OFFERED) if text else ()
    return show("companies", domain, listed=listed, offered=offered, text=text)


@blueprint.post("/<int:domain_id>/companies")
def admit(domain_id: int) -> Response:
    """The company may sign in here, or has its home here from now on."""
    domain, form = domain_or_404(domain_id), AdmissionForm()
    company = _company(form)
    old_home = home_of(company.id)
    is_home = bool(form.is_home.data) or old_home is None
    actions.admit(company, domain, is_home=is_home, by=access.actor(), now=clock.utcnow())
    if not is_home:
        sentence = f"{company.name} may sign in here too. Links in its mails lead to its home as before."
    elif old_home is None or old_home.id == domain.id:
        sentence = f"This is the home of {company.name}. Links in its mails lead to {domain.base_url}."
    else:
        sentence = (
            f"Links in mails to {company.name} lead to {domain.base_url} from now on. Those it has keep leading to "
            f"{old_home.base_url}, where it may still sign in."
        )
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{domain_id}/companies")


@blueprint.post("/<int:domain_id>/companies/dismiss")
def dismiss(domain_id: int) -> Response:
    """The company may no longer sign in here."""
    domain, form = domain_or_404(domain_id), AdmissionForm()
    company = _company(form)
    actions.dismiss(company, domain, by=access.actor(), now=clock.utcnow())
    sentence = f"{company.name} no longer signs in here, and its exceptions here are gone."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{domain_id}/companies")


def _company(form: AdmissionForm) -> Company:
    company = lists.company_by_id(form.company_id.data or 0) if form.validate_on_submit() else None
    return company or abort(422)
