"""Letters about somebody's account: invitations, ways back in, and word of what was done with it.

Accounts stand below the outbox and cannot call it. They write down that a letter is wanted (`AccountMail`); this
reads those rows and queues each as a broadcast to one address. So asking for a way back costs the same whether anybody
has the address or not: whether they do is found out here. The token of a link is in no row: it is set in as the mail
is composed.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from flask import current_app
from flask_babel import force_locale, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy import update

from portal.accounts.actions.links import issue, token_of
from portal.accounts.models import AccountMail, MailedLink, Person
from portal.accounts.queries import companies_of, person_by_email, person_by_id
from portal.accounts.queries.credentials import is_disinvited, link_by_id, link_opens, waiting_mails
from portal.accounts.rules.links import LIVES, Letter, Purpose
from portal.config import Settings
from portal.domains.rules import normal_host
from portal.extensions import db
from portal.language import known
from portal.notifications.actions import queue_broadcast
from portal.notifications.kinds import ACCOUNT_TOPIC, Cursor, Kind, LateValues, Recipient, register
from portal.notifications.queries import homes_of
from portal.notifications.wordings import render_wordings

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Letters written in one transaction."""

PATHS = {
    Letter.INVITATION: "/invitation/",
    Letter.RESET: "/reset/",
    Letter.EMAIL_CHANGE: "/email/",
    Letter.EMAIL_CHANGED: "/email/back/",
}
"""Where the link of a letter leads on the portal domain; the token follows."""

EXPIRES = {
    Letter.INVITATION: LIVES[Purpose.INVITATION],
    Letter.RESET: LIVES[Purpose.RESET],
    Letter.EMAIL_CHANGE: LIVES[Purpose.EMAIL_CHANGE],
}
"""Until when a letter is worth sending: while its link opens something. Word of what was done is for three days."""


@dataclass(frozen=True)
class Words:
    """What a letter says: its subject, what comes before the link and after it, and what the link is called."""

    subject: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    button: str = ""


def write_account_mails(now: datetime) -> bool:
    """Queue the letters that are wanted; whether there may be more. Twice, or two at once, writes each once.

    One that cannot be written is logged and left, so that it holds up no other.
    """
    waiting = waiting_mails(AT_ONCE)
    for mail in waiting:
        try:
            with db.session.begin_nested():
                _write(mail, now)
        except Exception:
            log.exception("the letter %s about an account cannot be written", mail.id)
        db.session.execute(
            update(AccountMail).where(AccountMail.id == mail.id).values(handled_at=now),
            execution_options={"synchronize_session": False},
        )
    return len(waiting) == AT_ONCE


def _write(mail: AccountMail, now: datetime) -> None:
    person = person_by_id(mail.person_id) if mail.person_id else person_by_email(mail.address)
    if mail.kind is Letter.EMAIL_TAKEN:
        person = person_by_email(mail.address)
    if person is None or person.deactivated_at:
        return
    if mail.kind is Letter.RESET and mail.person_id is None and is_disinvited(person):
        # Whoever can read mail to an address that was invited by mistake must not ask for what was taken back.
        return
    company_id = _company(person, mail)
    if company_id is None and person.role is None:
        return
    link_id = mail.link_id
    if mail.kind is Letter.RESET:
        link_id = issue(person, Purpose.RESET, now=now, details={"company_id": company_id}).id
    # A letter to whoever has an address goes to the one on record, however it was typed: two that compare alike may
    # end in different mailboxes.
    is_by_address = mail.person_id is None or mail.kind is Letter.EMAIL_TAKEN
    address = person.email if is_by_address else mail.address
    language = known(person.language)
    with force_locale("en"):
        title = WORDS[mail.kind]().subject
    queue_broadcast(
        f"{ACCOUNT_TOPIC}-{mail.kind}",
        idempotency_key=f"account-mail:{mail.id}",
        title=title.replace("{{brand}}", "").strip(" :,·"),
        selector={
            "person_id": person.id,
            "company_ids": [company_id] if company_id else [],
            "address": address,
            "name": person.name,
            "language": language,
            "values": {"link": str(link_id or ""), **_told(mail.details)},
        },
        content=render_wordings("account", (language,), words=WORDS[mail.kind]),
        thread_key=f"account:{person.id}:{mail.id}",
        by_person_id=None,
        now=now,
    )


def _company(person: Person, mail: AccountMail) -> int | None:
    """The company whose home portal the letter comes from; None for staff, whose own host it is.

    The one that was named, else the one at home on the portal it was asked for on, else the first that has a home.
    """
    settings: Settings = current_app.config["SETTINGS"]
    companies = [company.id for company in companies_of(person.id)]
    named = mail.details.get("company_id")
    if named in companies:
        return cast(int, named)
    if person.role is not None and (not companies or mail.host in {"", normal_host(settings.staff_host)}):
        return None
    homes = {each: home.base_url for each, home in homes_of(companies).items() if home.base_url}
    asked_on = [each for each in companies if each in homes and _host_of(homes[each]) == mail.host and mail.host]
    return next(iter([*asked_on, *[each for each in companies if each in homes], *companies]), None)


def _host_of(base_url: str) -> str:
    return normal_host(base_url.partition("://")[2])


def _told(details: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(details.get(name) or "") for name in ("ip", "new")}


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The one address a letter goes to."""
    recipient = Recipient(
        person_id=selector["person_id"],
        company_ids=tuple(selector["company_ids"]),
        address=selector["address"],
        name=selector["name"],
        language=selector["language"],
        values=selector["values"],
    )
    return [recipient], None


def link_values(letter: Letter) -> LateValues:
    """What sets the link into a letter as it is composed; ValueError when it opens nothing any more."""

    def values(stored: Mapping[str, str], now: datetime) -> Mapping[str, str]:
        link = link_by_id(int(stored["link"]))
        if link is None or not link_opens(link, now):
            raise ValueError("its link has been used, replaced or withdrawn meanwhile")
        return {"link_url": stored["portal_url"] + PATHS[letter] + _token(link)}

    return values


def _token(link: MailedLink) -> str:
    try:
        return token_of(link)
    except LookupError as lost:
        raise ValueError(str(lost)) from None


# What they say. Each is called in the language of its reader.

PORTAL_URL = "{{portal_url}}"

BRAND: dict[str, str] = {"brand": "{{brand}}", "address": "{{address}}", "company": "{{company}}"}


def _invitation() -> Words:
    return Words(
        subject=_("Your access to %(brand)s", **BRAND),
        before=(
            _("You can sign in to %(brand)s now, as %(address)s.", **BRAND),
            _("All that is missing is a password only you know:"),
        ),
        button=_("Choose your password"),
        after=(
            _("The link works once, and for seven days."),
            _("If you did not expect this, do nothing: without the link nobody gets in."),
        ),
    )


def _membership() -> Words:
    return Words(
        subject=_("You act for %(company)s too", **BRAND),
        before=(
            _("From now on %(address)s acts for %(company)s at %(brand)s too.", **BRAND),
            _("Sign in as always, and choose in the menu at the top right for which company: %(url)s", url=PORTAL_URL),
        ),
        after=(_("If you did not expect this, answer this mail or tell us."),),
    )


def _reset() -> Words:
    return Words(
        subject=_("Choose a new password for %(brand)s", **BRAND),
        before=(_("A new password was asked for, for %(address)s at %(brand)s.", **BRAND),),
        button=_("Choose a new password"),
        after=(
            _("The link works once, and for 30 minutes."),
            _("If it was not you who asked, do nothing: your password stays as it is."),
        ),
    )


def _email_change() -> Words:
    return Words(
        subject=_("Confirm your new e-mail address"),
        before=(
            _("You asked to sign in to %(brand)s with this address, %(address)s, from now on.", **BRAND),
            _("Confirm that it reaches you:"),
        ),
        button=_("Confirm this address"),
        after=(
            _("The link works once, and for 24 hours. Until then your old address holds."),
            _("If this says nothing to you, do nothing."),
        ),
    )


def _email_changed() -> Words:
    return Words(
        subject=_("Your e-mail address was changed"),
        before=(
            _("From now on you sign in to %(brand)s as %(new)s, and no longer as %(address)s.", new="{{new}}", **BRAND),
            _("If that was you, there is nothing to do. If it was not, take it back:"),
        ),
        button=_("Take it back"),
        after=(
            _("That signs out everybody and lets you choose a new password. The link works once, and for seven days."),
        ),
    )


def _email_taken() -> Words:
    return Words(
        subject=_("This address is in use already"),
        before=(
            _("Somebody wanted to sign in to %(brand)s with %(address)s, which is yours already.", **BRAND),
            _("Nothing was changed. If it was you: sign in with this address, or ask for a new password."),
        ),
        after=(),
    )


def _password_changed() -> Words:
    return Words(
        subject=_("Your password was changed"),
        before=(
            _("The password of %(address)s at %(brand)s was changed, from the address %(ip)s.", ip="{{ip}}", **BRAND),
            _("Everybody who was signed in with the old one is signed out."),
        ),
        after=(_("If it was not you, choose a new one at once and tell us: %(url)s", url="{{portal_url}}/reset"),),
    )


def _throttled() -> Words:
    return Words(
        subject=_("Somebody keeps typing wrong passwords for your account"),
        before=(
            _(
                "Too many wrong passwords were typed for %(address)s at %(brand)s, last from %(ip)s.",
                ip="{{ip}}",
                **BRAND,
            ),
            _("Nobody got in. For a while no password is taken for this account, not even the right one."),
        ),
        after=(_("If you need to get in before that, ask for a new password: %(url)s", url="{{portal_url}}/reset"),),
    )


def _codes_throttled() -> Words:
    return Words(
        subject=_("Somebody knows your password"),
        before=(
            _(
                "Your password was typed right at %(brand)s, and then too many wrong codes, from %(ip)s.",
                ip="{{ip}}",
                **BRAND,
            ),
            _("Nobody got in. For a while no code is taken for your account."),
        ),
        after=(_("If it was not you, choose a new password at once: %(url)s", url="{{portal_url}}/reset"),),
    )


def _second_factor_on() -> Words:
    return Words(
        subject=_("Signing in needs a code from now on"),
        before=(
            _("A second factor was set up for %(address)s at %(brand)s.", **BRAND),
            _("Keep the recovery codes where you find them when your phone is lost."),
        ),
        after=(_("If it was not you, tell an administrator at once."),),
    )


def _second_factor_off() -> Words:
    return Words(
        subject=_("Signing in needs no code any more"),
        before=(
            _("The second factor of %(address)s at %(brand)s was removed.", **BRAND),
            _("From now on your password alone lets you in, until you set one up again."),
        ),
        after=(_("If it was neither you nor an administrator you asked, tell one at once."),),
    )


WORDS: dict[Letter, Callable[[], Words]] = {
    Letter.INVITATION: _invitation,
    Letter.MEMBERSHIP: _membership,
    Letter.RESET: _reset,
    Letter.EMAIL_CHANGE: _email_change,
    Letter.EMAIL_CHANGED: _email_changed,
    Letter.EMAIL_TAKEN: _email_taken,
    Letter.PASSWORD_CHANGED: _password_changed,
    Letter.THROTTLED: _throttled,
    Letter.CODES_THROTTLED: _codes_throttled,
    Letter.SECOND_FACTOR_ON: _second_factor_on,
    Letter.SECOND_FACTOR_OFF: _second_factor_off,
}

for _letter in Letter:
    register(
        Kind(
            name=f"{ACCOUNT_TOPIC}-{_letter}",
            topic=ACCOUNT_TOPIC,
            label=lazy_gettext("Your account"),
            recipients=recipients,
            variables=frozenset({"link_url", "ip", "new"}),
            expires_after=EXPIRES.get(_letter, timedelta(hours=72)),
            priority=0,
            late_values=link_values(_letter) if _letter in PATHS else None,
        )
    )
