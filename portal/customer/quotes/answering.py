"""Accepting and declining a quote: read it, agree to the terms, sign last."""

from typing import Any

from flask import Response, flash, request
from flask_babel import gettext as _

from portal import access, clock, events
from portal.customer.jobs.pages import item_of
from portal.customer.quotes.forms import AcceptForm, DeclineForm
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.jobs.actions import quotes
from portal.jobs.actions.quotes import OfferChangedError, Signature, Signer
from portal.jobs.queries.offers import OfferView, offer_view
from portal.jobs.queries.public import PublicItem
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import WorkKind


def offer_of(item: PublicItem) -> OfferView:
    """The offer of a quote, as its company sees it today."""
    return offer_view(item, today_of(access.signed_in().company_id or 0, clock.utcnow()))


def show_accept(number: str, form: AcceptForm | None = None, status: int = 200, **context: Any) -> Response:
    """The page that is signed. Where there is nothing to answer it leads back to the quote, which says why."""
    item = item_of(WorkKind.QUOTE, number)
    offer = offer_of(item)
    if not offer.may_answer or offer.offered is None:
        return redirect_to(f"/quotes/{number}")
    # Whatever was shown before, what is signed is what stands on this page.
    form = form or AcceptForm(formdata=None)
    form.shown.data = offer.offered.hash
    return render(
        "customer/quotes/accept.html",
        "customer/quotes/_accept.html",
        status,
        item=item,
        form=form,
        offer=offer,
        **context,
    )


def take_accept(number: str) -> Response:
    """Accept what was shown; sent twice, it is accepted once."""
    item, form = item_of(WorkKind.QUOTE, number), AcceptForm()
    if not form.validate():
        return show_accept(number, form, 422)
    signature = Signature(form.name.data or "", form.signature.data or "", form.drawn.data or "")
    try:
        quotes.accept(
            item.ref.id,
            form.shown.data or "",
            signature,
            signer(),
            agrees=bool(form.agrees.data),
            by=access.actor(),
            now=clock.utcnow(),
        )
    except OfferChangedError as changed:
        events.rollback()
        form.agrees.data = False
        return show_accept(number, form, 422, refusal=changed.sentence, changed=changed.changed or ())
    except RuleViolation as violation:
        events.rollback()
        return show_accept(number, form, 422, refusal=form.refuse(violation))
    events.commit()
    flash(_("Accepted. A receipt is on its way to you by mail."))
    return redirect_to(f"/quotes/{number}#answer")


def show_decline(number: str, form: DeclineForm | None = None, status: int = 200, refusal: str = "") -> Response:
    """The page on which a quote is declined."""
    item = item_of(WorkKind.QUOTE, number)
    offer = offer_of(item)
    if not offer.may_answer:
        return redirect_to(f"/quotes/{number}")
    form = form or DeclineForm(formdata=None, name=access.signed_in().name)
    return render(
        "customer/quotes/decline.html",
        "customer/quotes/_decline.html",
        status,
        item=item,
        form=form,
        refusal=refusal,
        offer=offer,
    )


def take_decline(number: str) -> Response:
    """Decline a quote, with a reason."""
    item, form = item_of(WorkKind.QUOTE, number), DeclineForm()
    if not form.validate():
        return show_decline(number, form, 422)
    try:
        quotes.decline(
            item.ref.id,
            form.name.data or "",
            form.reason.data or "",
            signer(),
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        return show_decline(number, form, 422, form.refuse(violation))
    events.commit()
    flash(_("Declined. We have been told why."))
    return redirect_to(f"/quotes/{number}#answer")


def signer() -> Signer:
    """Whoever answers in this request."""
    person = access.signed_in()
    return Signer(
        person_id=person.person_id,
        company_id=person.company_id or 0,
        address=request.remote_addr or "",
        agent=request.user_agent.string,
    )
