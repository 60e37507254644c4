"""What the company of a token sees of its services; staff see everything."""

from flask import g

from portal import access
from portal.accounts.rules.tokens import Resource, Right, right
from portal.api.v1.requests import Refusal
from portal.services.queries import view_at_home
from portal.services.queries.settings import EVERYTHING, View, view_of


def view() -> View:
    """What may be seen by whoever asks: on this portal domain, or from the staff host on the company's home."""
    company_id = access.viewpoint().company_id
    if company_id is None:
        return EVERYTHING
    return view_at_home(company_id) if g.on_staff_host else view_of(g.portal.id, company_id)


def require_stating() -> None:
    """Go on only where the token may state how services are: who keeps the catalogue does not mail customers by it."""
    key = access.key()
    granted = right(key.scope, Resource.SERVICE_UPDATES, for_company=key.company_id is not None)
    if granted < Right.WRITE:
        raise Refusal(403, f"The scope of this token, “{key.scope}”, does not reach as far as service statuses.")
