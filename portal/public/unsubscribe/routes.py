"""Leaving a list: `/u/<token>`, by one click of a mail program (RFC 8058) or with the button of the page.

Answers on every portal domain and whatever areas are open, without signing in: a link in a mail must work for years.
Looking at the page changes nothing, because scanners look too. Where the address is still that of the person it was
sent to, the page also offers what narrows the lists, such as single services.
"""

from datetime import datetime

from flask import Blueprint, Response, abort, flash, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock, events
from portal.accounts.models import Person
from portal.audit.rules import Actor
from portal.extensions import csrf
from portal.fragments import redirect_to
from portal.notifications import actions
from portal.notifications.choosing import Choice, choice_of_person, live_companies_of, reader_of
from portal.notifications.kinds import for_people, topics
from portal.notifications.links import Unsubscription, read_unsubscribe_token
from portal.notifications.queries import left_lists
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.topics import names_of
from portal.public.subscribe import leaving
from portal.public.subscribe.routes import subscriber_actor
from portal.public.unsubscribe.forms import ListForm
from portal.wish_form import WishForm

blueprint = Blueprint("public_unsubscribe", __name__)
access.anyone(blueprint)
access.on_every_name("public_unsubscribe.leave")


@blueprint.get("/u/<token>")
def lists(token: str) -> str:
    """The list this link is about, with a button to leave it, and all the others."""
    link = _read(token)
    return leaving.page(token, link) if link.subscriber_key else _page(token, link, is_done=False)


@blueprint.post("/u/<token>")
@csrf.exempt  # type: ignore[untyped-decorator]  # the token in the link is what entitles; mail programs have no cookie
def leave(token: str) -> str:
    """One click: exactly the body RFC 8058 asks for. Answers the same when it was done before."""
    link = _read(token)
    if request.form.to_dict(flat=False) != {"List-Unsubscribe": ["One-Click"]}:
        abort(400)
    if link.subscriber_key:
        leaving.leave(link, link.topic, subscriber_actor())
        events.commit()
        return leaving.page(token, link)
    actions.unsubscribe(link.address, link.topic, link.person_id, now=clock.utcnow())
    events.commit()
    return _page(token, link, is_done=True)


@blueprint.post("/u/<token>/lists")
def choose(token: str) -> AnyResponse:
    """Leave one list or all, or come back."""
    link = _read(token)
    form = ListForm()
    topic = form.topic.data or ""
    is_known = topic in {*topics(), link.topic, EVERY_TOPIC} or leaving.is_followed(link, topic)
    if not form.validate_on_submit() or not is_known:
        abort(422)
    if link.subscriber_key:
        if form.wanted.data != "no":
            abort(422)
        wait = leaving.leave_by_page(link, topic, subscriber_actor())
        if wait:
            return access.too_often(wait)
        events.commit()
        return redirect_to(url_for("public_unsubscribe.lists", token=token, asked=None if wait is None else 1))
    change = actions.subscribe_again if form.wanted.data == "yes" else actions.unsubscribe
    change(link.address, topic, link.person_id, now=clock.utcnow())
    events.commit()
    return redirect_to(url_for("public_unsubscribe.lists", token=token))


@blueprint.post("/u/<token>/wishes")
def wish(token: str) -> Response:
    """Say by service and component what is wanted, as on one's own account page."""
    link = _read(token)
    person = reader_of(link) or abort(404)
    form, now = WishForm(), clock.utcnow()
    if not form.validate_on_submit():
        abort(422)
    changes = form.changes_of(_narrower(person, now))
    actions.choose_for_person(person, changes, by=Actor(link.address, person.id), now=now)
    events.commit()
    flash(_("Saved."))
    return redirect_to(url_for("public_unsubscribe.lists", token=token))


def _narrower(person: Person, now: datetime) -> Choice:
    """What can be chosen beside the lists themselves, which have buttons of their own."""
    return choice_of_person(person, live_companies_of(person.id), now).without(topics())


def _read(token: str) -> Unsubscription:
    link = read_unsubscribe_token(token)
    if link is None:
        abort(404)
    return link


def _page(token: str, link: Unsubscription, *, is_done: bool) -> str:
    left = left_lists(link.address)
    person = reader_of(link)
    return render_template(
        "public/unsubscribe/lists.html",
        token=token,
        address=link.address,
        topic=link.topic,
        label=names_of([link.topic])[link.topic],
        is_done=is_done,
        has_left=link.topic in left,
        has_left_all=EVERY_TOPIC in left,
        every_topic=EVERY_TOPIC,
        others=[(each.topic, each.label, each.topic in left) for each in for_people() if each.topic != link.topic],
        narrower=_narrower(person, clock.utcnow()) if person and EVERY_TOPIC not in left else None,
    )
