"""`/subscribe`: hearing of what happens without a login. Sign up, confirm by the link that was mailed, change, leave.

With `?incident=` and its public id it is about that incident alone, which has to be one that everybody may see.
Nobody learns here whether an address is known: what there is to say about that is said in the mail. Looking at a link
changes nothing, because mail scanners look too. Where the public page is closed, none of this is there; leaving by one
click (`/u/…`) works all the same.
"""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, flash, g, make_response, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock, events
from portal.accounts.rules import is_email, one_line, text_key
from portal.audit.rules import Actor
from portal.catalogue.queries.hearing import TOPIC
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.fragments import redirect_to
from portal.incidents.queries.conversations import Followable, followable, followable_by_id, followed_incidents
from portal.incidents.rules.conversations import AFTER_FIXED, incident_of
from portal.language import current, known
from portal.notifications.kinds import usual_for_subscribers
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.subscribers import actions, following, queries, rooms
from portal.notifications.subscribers.links import Link, manage_path, read_link
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import Conversation, Purpose, SubscriberKind, SubscriberState
from portal.public.subscribe.forms import (
    ChoiceForm,
    LinkForm,
    ManageForm,
    Parts,
    RoomForm,
    SignUpForm,
    WebhookForm,
    by_group,
)

blueprint = Blueprint("public_subscribe", __name__, url_prefix="/subscribe")
access.everybody(blueprint, Area.PUBLIC_STATUS)

SENT = "/subscribe?sent=1"
WEBHOOK_SENT = "/subscribe/webhook?sent=1"
ROOM_SENT = "/subscribe/room?sent=1"


def subscriber_actor() -> Actor:
    """Whoever holds a mailed link, as the audit trail names them: their address is not kept there."""
    return Actor("subscriber", ip=request.remote_addr, request_id=g.request_id)


@blueprint.route("", methods=["GET", "POST"])
def sign_up() -> AnyResponse:
    """Ask to be told. The answer is the same whether anybody has the address or not."""
    form, about = SignUpForm(), _asked_about()
    parts = form.offer()
    shown: dict[str, Any] = {"form": form, "parts": parts, "about": about}
    if not form.is_submitted():
        _begin(form)
        return _page("sign_up", **shown, is_sent="sent" in request.args)
    if not form.validate():
        return _page("sign_up", 422, **shown)
    if form.website.data:
        return redirect_to(SENT)
    address, now = form.address.data or "", clock.utcnow()
    try:
        topics = [] if about else actions.checked_topics(form.topics(parts))
        address = actions.checked_address(address)
    except RuleViolation as violation:
        form.refuse(_in_words(violation))
        return _page("sign_up", 422, **shown)
    if wait := actions.take_letter(access.portal().id, address, ip=request.remote_addr, now=now):
        return access.too_often(wait)
    same: dict[str, Any] = {
        "language": known(form.language.data),
        "is_shared": form.is_shared.data,
        "by": subscriber_actor(),
        "now": now,
    }
    if about:
        actions.sign_up_to_follow(access.portal().id, address, about.conversation, about.title, **same)
    else:
        actions.sign_up(access.portal().id, address, topics, **same)
    events.commit()
    return redirect_to(SENT)


@blueprint.route("/webhook", methods=["GET", "POST"])
def sign_up_webhook() -> AnyResponse:
    """Have a machine told: its address is asked, and what reads there confirms it."""
    return _sign_up_by("webhook", WebhookForm(), WEBHOOK_SENT)


@blueprint.route("/room", methods=["GET", "POST"])
def sign_up_room() -> AnyResponse:
    """Have a room of Slack or Teams told: it is asked by a post, and whoever reads it there confirms it."""
    if not access.portal().rooms_sign_up:
        abort(404)
    return _sign_up_by("room", RoomForm(), ROOM_SENT)


def _sign_up_by(page: str, form: WebhookForm | RoomForm, sent: str) -> AnyResponse:
    """Sign up what is asked at its own address."""
    about, parts = _asked_about(), form.offer()
    shown: dict[str, Any] = {"form": form, "parts": parts, "about": about}
    if not form.is_submitted():
        _begin(form)
        return _page(page, **shown, is_sent="sent" in request.args)
    if not form.validate():
        return _page(page, 422, **shown)
    if form.website.data:
        return redirect_to(sent)
    address = form.address.data or ""
    try:
        kind = rooms.kind_at(address) if page == "room" else SubscriberKind.WEBHOOK
        topics = [] if about else actions.checked_topics(form.topics(parts))
        wait = _sign_up_at(kind, address, topics, known(form.language.data), about)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(_in_words(violation, page))
        return _page(page, 422, **shown)
    return access.too_often(wait) if wait else redirect_to(sent)


def _sign_up_at(kind: SubscriberKind, address: str, topics: list[str], language: str, about: Followable | None) -> int:
    """Sign up what answers at this address and ask it, once that is stored and no transaction is open; the seconds to
    wait where that was tried too often. RuleViolation for what may not be asked."""
    domain_id, now = access.portal().id, clock.utcnow()
    rooms.room_at(domain_id, kind, address)
    if wait := actions.take_challenge(domain_id, kind, address, ip=request.remote_addr, now=now):
        return wait
    found = actions.sign_up_room(domain_id, kind, address, topics, language=language, by=subscriber_actor(), now=now)
    parcel = rooms.challenge(found, now, about.conversation, about.title) if about else rooms.challenge(found, now)
    events.commit()
    if parcel is not None:
        rooms.ask(parcel, now)
    return 0


@blueprint.route("/link", methods=["GET", "POST"])
def ask_link() -> AnyResponse:
    """Have the way to one's subscription mailed; the same answer for every address."""
    form = LinkForm()
    if not form.validate_on_submit():
        return _page("ask_link", 422 if form.is_submitted() else 200, form=form, is_sent="sent" in request.args)
    address, domain, now = one_line(form.address.data or ""), access.portal(), clock.utcnow()
    if is_email(address) and not form.website.data:
        if wait := actions.take_letter(domain.id, address, ip=request.remote_addr, now=now):
            return access.too_often(wait)
        found = queries.by_address(domain.id, SubscriberKind.EMAIL, text_key(address))
        if found is not None:
            actions.mail_link(found, now)
        events.commit()
    return redirect_to("/subscribe/link?sent=1")


@blueprint.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> AnyResponse:
    """Say that the address is one's own, and that this is wanted."""
    now = clock.utcnow()
    link = read_link(token, (Purpose.CONFIRM, Purpose.FOLLOW), now)
    about, subscriber = _linked_about(link, now), _of(link)
    if link is None or subscriber is None or (link.conversation is not None and about is None):
        return _gone()
    if request.method != "POST":
        return _page("confirm", subscriber=subscriber, token=token, about=about)
    was_told = subscriber.state is SubscriberState.ACTIVE
    if about is None:
        actions.confirm(subscriber, by=subscriber_actor(), now=now)
    else:
        try:
            actions.confirm_following(subscriber, about.conversation, by=subscriber_actor(), now=now)
        except RuleViolation:
            events.rollback()
            return _page("confirm", 422, subscriber=_of(link), token=token, about=about, is_too_much=True)
    # Whoever came this far reads the mailbox, so a shared one may be changed from here for an hour.
    path = manage_path(subscriber.key, now, Purpose.CHANGE)
    if subscriber.kind is SubscriberKind.WEBHOOK and not (about and was_told):
        secret = rooms.renew_secret(subscriber)
        events.commit()
        return _page("secret", secret=secret, manage_path=path)
    events.commit()
    flash(_("Confirmed. From now on you are told."))
    return redirect_to(path)


@blueprint.route("/manage/<token>", methods=["GET", "POST"])
def manage(token: str) -> AnyResponse:
    """What somebody hears of, and changing it."""
    subscriber, may_change, now = _managed(token)
    if subscriber is None:
        return _gone()
    form = ManageForm()
    parts = form.offer()
    followed = _followed(subscriber, now)
    if request.method != "POST":
        form.show(subscriber.topics, parts)
        form.followed.data = [each.public_id for each in followed.values() if each]
        form.language.data, form.version.data = subscriber.language, str(subscriber.version)
        return _manage_page(token, subscriber, form, parts=parts, followed=followed, may_change=may_change)
    if not may_change:
        abort(403)
    if not form.validate() or not (form.version.data or "").isdecimal():
        return _manage_page(token, subscriber, form, 422, parts=parts, followed=followed, may_change=may_change)
    ticked = set(form.followed.data or ())
    try:
        topics = form.topics(parts, kept=subscriber.topics)
        version = int(form.version.data or 0)
        actions.choose(
            subscriber,
            topics,
            # What is not shown to everybody now stays as it is: it cannot be chosen here.
            followed=[
                Conversation(key, TOPIC) for key, each in followed.items() if not each or each.public_id in ticked
            ],
            language=known(form.language.data),
            version=version,
            by=subscriber_actor(),
            now=now,
        )
    except RuleViolation as violation:
        form.refuse(_in_words(violation))
        return _manage_page(token, subscriber, form, 422, parts=parts, followed=followed, may_change=may_change)
    events.commit()
    flash(_("Saved."))
    return redirect_to(f"/subscribe/manage/{token}")


@blueprint.post("/manage/<token>/leave")
def leave(token: str) -> AnyResponse:
    """End the subscription, and have the address forgotten."""
    subscriber, may_change, now = _managed(token)
    if subscriber is None:
        return _gone()
    if not may_change:
        abort(403)
    actions.leave(subscriber, EVERY_TOPIC, by=subscriber_actor(), now=now)
    events.commit()
    return redirect_to("/subscribe?left=1")


@blueprint.post("/manage/<token>/link")
def mail_link(token: str) -> AnyResponse:
    """Have a fresh link mailed: to a mailbox that several people read, or that rests in quarantine."""
    subscriber, _may_change, now = _managed(token)
    if subscriber is None or subscriber.kind is not SubscriberKind.EMAIL:
        return _gone()
    wait = actions.take_letter(subscriber.domain_id, subscriber.address, ip=request.remote_addr, now=now)
    if wait:
        return access.too_often(wait)
    actions.mail_link(subscriber, now)
    events.commit()
    return redirect_to("/subscribe/link?sent=1")


def _managed(token: str) -> tuple[Subscriber | None, bool, datetime]:
    """Whose link this is, and whether it is enough to change anything: a shared mailbox needs one it just asked for."""
    now = clock.utcnow()
    link = read_link(token, (Purpose.CHANGE, Purpose.MANAGE), now)
    subscriber = _of(link)
    if link is None or subscriber is None:
        return None, False, now
    return subscriber, link.purpose is Purpose.CHANGE or not subscriber.is_shared, now


def _of(link: Link | None) -> Subscriber | None:
    if link is None:
        return None
    return queries.by_key(link.key, access.portal().id, to_change=request.method == "POST")


def _manage_page(
    token: str,
    subscriber: Subscriber,
    form: ManageForm,
    status: int = 200,
    *,
    parts: Parts,
    followed: dict[str, Followable | None],
    may_change: bool,
) -> Response:
    return _page(
        "manage",
        status,
        subscriber=subscriber,
        form=form,
        parts=parts,
        followed=[each for each in followed.values() if each],
        unseen=sum(each is None for each in followed.values()),
        token=token,
        may_change=may_change,
    )


def _asked_about() -> Followable | None:
    """The one incident that is asked for. 404, the same for what is missing, over, and not for everybody's eyes."""
    if "incident" not in request.args:
        return None
    return followable(request.args["incident"], clock.utcnow()) or abort(404)


def _linked_about(link: Link | None, now: datetime) -> Followable | None:
    """The incident a link has somebody follow, if everybody may still see it."""
    incident_id = incident_of(link.conversation.key) if link and link.conversation else None
    return followable_by_id(incident_id, now) if incident_id is not None else None


def _followed(subscriber: Subscriber, now: datetime) -> dict[str, Followable | None]:
    """What somebody follows, by the conversation; None for what not everybody may see at the moment, and what is over.
    Two queries."""
    keys = following.followed_by([subscriber.id]).get(subscriber.id, [])
    seen = followed_incidents(keys, now)
    return {key: seen.get(key) for key in keys}


def _begin(form: ChoiceForm) -> None:
    """What stands in a form that nobody has filled in yet."""
    form.kinds.data = usual_for_subscribers()
    form.language.data = current()


def _in_words(violation: RuleViolation, page: str = "sign_up") -> RuleViolation:
    """The refusals of the actions, which also serve staff, in the words of this page's reader."""
    of_address = {
        "sign_up": _("That is not an e-mail address."),
        "webhook": _(
            "Nothing can be sent to this address. It begins with https:// and names a server on the public internet."
        ),
        "room": _("That is neither an address of Slack nor one of Teams. Copy it whole, as it is shown there."),
    }
    sentences = {
        "address": of_address[page],
        "kinds": _("Choose at least one."),
    }
    return RuleViolation(sentences.get(violation.field or "", violation.sentence), violation.field)


def _gone() -> Response:
    """One answer for what is wrong, too old, or about an address that is gone."""
    return _page("gone", 404)


def _page(name: str, status: int = 200, **context: object) -> Response:
    response = make_response(
        render_template(f"public/subscribe/{name}.html", groups_of=by_group, follow_days=AFTER_FIXED.days, **context),
        status,
    )
    response.headers["Cache-Control"] = "no-store"
    return response
