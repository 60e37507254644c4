"""The customer's home: is everything all right, and how is each of our services."""

from flask import Blueprint, Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock
from portal.customer.home.pages import home_view
from portal.domains.rules import Area
from portal.fragments import render, wants_fragment
from portal.incidents.queries.following import unseen
from portal.services.queries import CompanyPicture

blueprint = Blueprint("customer_home", __name__)


@blueprint.before_request
def _lead_staff_to_their_screens() -> AnyResponse | None:
    """The bare address of the staff host is what staff type; it is no customer's home."""
    if g.on_staff_host and g.portal is None and request.endpoint == "customer_home.home":
        return redirect("/admin/")
    return None


access.customers(blueprint)

WITHOUT_WORK = ("customer/home/_banner.html", "customer/home/_your_services.html")
"""Parts that open pages ask for by themselves, often, and that show neither jobs nor quotes."""


@blueprint.get("/")
def home() -> Response:
    return _answer("customer/home/_home.html")


@blueprint.get("/banner")
def banner() -> Response:
    """What concerns the company now, for an open page."""
    access.require_area(Area.STATUS)
    return _answer("customer/home/_banner.html")


@blueprint.get("/your-services")
def your_services() -> Response:
    """The home's list of services, for an open page, and what is stated of them where no banner says so."""
    access.require_area(Area.SERVICES)
    return _answer("customer/home/_your_services.html")


@blueprint.get("/your-jobs")
def your_jobs() -> Response:
    """The home's list of jobs, for an open page."""
    access.require_area(Area.JOBS)
    return _answer("customer/home/_your_jobs.html")


@blueprint.get("/your-quotes")
def your_quotes() -> Response:
    """The home's list of quotes, for an open page."""
    access.require_area(Area.QUOTES)
    return _answer("customer/home/_your_quotes.html")


def _answer(fragment: str) -> Response:
    is_apart = wants_fragment() and fragment in WITHOUT_WORK
    viewer, domain_id = access.signed_in(), access.portal().id
    view = home_view(viewer, domain_id, access.areas(), clock.utcnow(), shows_work=not is_apart)
    return render("customer/home/home.html", fragment, unseen=_unseen(view["picture"]), **view)


def _unseen(picture: CompanyPicture | None) -> list[str]:
    """What stands in the banners of a whole page and was not noted as seen yet, by public id. One query, or none."""
    shown = [each.incident.public_id for each in picture.concerns] if picture and not wants_fragment() else []
    person = access.signed_in()
    if not shown or person.is_view_as or not unseen(access.viewpoint(), shown, person.person_id, clock.utcnow()):
        return []
    return shown
