"""`/preferences`: what mails somebody, by kind, service and component; and for a contact, what mails their company."""

from typing import cast

from flask import Blueprint, abort, current_app, flash, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.models import Company, Person
from portal.accounts.queries import person_by_id
from portal.accounts.queries.listings import company_by_id
from portal.fragments import redirect_to, render
from portal.notifications import actions
from portal.notifications.channels.actions import remove_channel
from portal.notifications.channels.queries import channel_by_id, channels_of
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.choosing import choice_of_company, choice_of_person, own_words
from portal.notifications.queries import left_lists, suppressions_of
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from portal.notifications.wishes import is_contact
from portal.wish_form import WishForm

blueprint = Blueprint("customer_preferences", __name__, url_prefix="/preferences")
access.customers(blueprint, is_personal=True)

CHANNEL_WORDS = {
    ChannelKind.SMS: lazy_gettext("Text message"),
    ChannelKind.SLACK: "Slack",
    ChannelKind.TEAMS: "Microsoft Teams",
    ChannelKind.WEBHOOK: "Webhook",
}
"""What each kind of channel is called for those who are told by it."""


@blueprint.route("", methods=["GET", "POST"])
def preferences() -> Response:
    """What the person hears of: their own word, else their company's."""
    person, now = _person(), clock.utcnow()
    company_id = cast(int, access.signed_in().company_id)
    choice, form = choice_of_person(person, [company_id], now), WishForm()
    if form.is_submitted():
        if not form.validate():
            abort(422)
        actions.choose_for_person(person, form.changes_of(choice), by=access.actor(), now=now, is_recipient=True)
        events.commit()
        flash(_("Saved."))
        return redirect_to("/preferences")
    stopped = [each for each in suppressions_of(person.email, now) if each.scope == EVERY_TOPIC]
    return render(
        "customer/preferences/preferences.html",
        "customer/preferences/_preferences.html",
        choice=choice,
        address=person.email,
        has_own_words=any(own_words(person.id)),
        has_left_all=EVERY_TOPIC in left_lists(person.email),
        is_stopped=any(each.reason is not SuppressionReason.UNSUBSCRIBED for each in stopped),
        is_contact=is_contact(person.id, company_id),
        channels=channels_of(current_app.config["SETTINGS"], person_id=person.id),
        channel_words=CHANNEL_WORDS,
    )


@blueprint.post("/follow")
def follow() -> Response:
    """Take everything one has said back: what the company says counts again."""
    actions.follow_company(_person(), by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(_("From now on you hear of what your company has chosen."))
    return redirect_to("/preferences")


@blueprint.post("/again")
def again() -> Response:
    """Allow mails again after having stopped every one."""
    person = _person()
    actions.subscribe_again(person.email, EVERY_TOPIC, person.id, now=clock.utcnow())
    events.commit()
    flash(_("Mails are sent to you again."))
    return redirect_to("/preferences")


@blueprint.post("/channels/<int:channel_id>/stop")
def stop_channel(channel_id: int) -> Response:
    """Be told there no more. Staff set channels up; whoever is told by one may end it."""
    channel = channel_by_id(channel_id, to_change=True)
    version = request.form.get("version", "")
    if channel is None or channel.person_id != access.signed_in().person_id:
        abort(404)
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        abort(422)
    remove_channel(channel, version=int(version), by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(_("You are not told there any more."))
    return redirect_to("/preferences")


@blueprint.route("/company", methods=["GET", "POST"])
def company() -> Response:
    """What the company's people hear of who have said nothing themselves; for its contacts."""
    company_id = cast(int, access.signed_in().company_id)
    if not is_contact(access.signed_in().person_id, company_id):
        abort(403)
    now = clock.utcnow()
    choice, form = choice_of_company(company_id, now), WishForm()
    if form.is_submitted():
        if not form.validate():
            abort(422)
        wanted = cast(Company, company_by_id(company_id))
        actions.choose_for_company(wanted, form.changes_of(choice), by=access.actor(), now=now)
        events.commit()
        flash(_("Saved."))
        return redirect_to("/preferences/company")
    return render("customer/preferences/company.html", "customer/preferences/_company.html", choice=choice)


def _person() -> Person:
    return cast(Person, person_by_id(access.signed_in().person_id))
