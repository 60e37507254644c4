"""An entry of the audit trail as a sentence: who did what to what, for whom and where, in plain English."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.admin.audit.names import Names, names_in
from portal.audit.models import AuditEntry
from portal.domains.rules import AREA_WORDS, Area

NOUNS = {
    "address": "an address",
    "announcement": "announcement",
    "api_token": "API token",
    "audit": "the audit trail",
    "broadcast": "broadcast",
    "channel": "channel",
    "company": "company",
    "component": "component",
    "alert": "alert",
    "alert_template": "template of alerts",
    "component_group": "component group",
    "export": "export",
    "file": "file",
    "holding": "holding",
    "import": "import",
    "leak_proof": "the leak proof",
    "availability_settings": "how availability is counted",
    "company_contract": "what is agreed with a company",
    "incident": "incident",
    "maintenance": "maintenance",
    "maintenance_series": "repeating maintenance",
    "slot_request": "another slot",
    "freeze": "days without work",
    "message": "message",
    "metric": "metric",
    "incident_draft": "draft",
    "incident_template": "template",
    "notice": "notice",
    "person": "",
    "portal": "portal domain",
    "relay": "relay",
    "retention": "retention",
    "service": "service",
    "service_settings": "how service statuses are told",
    "service_update": "service status",
    "service_window": "scheduled service",
    "session": "session",
    "starter_note": "starter note",
    "subscriber": "a subscriber",
    "thread": "conversation",
    "token": "API token",
}
"""How the kind of an object is called before its name; people need no word."""

VERBS = {
    "add": "added",
    "answer": "answered the wish for",
    "ask": "asked for",
    "backfill": "entered after the fact",
    "begin": "began",
    "complete": "completed",
    "move": "moved",
    "plan": "planned",
    "stop": "stopped",
    "verify": "verified",
    "admit": "admitted",
    "archive": "archived",
    "arrange": "put in order",
    "cancel": "cancelled",
    "delete": "deleted",
    "depend": "changed what depends on",
    "dismiss": "dismissed",
    "edit": "changed",
    "end": "ended",
    "export": "exported",
    "import": "imported",
    "narrow": "called off what waited for others in",
    "pause": "paused",
    "publish": "published",
    "remove": "removed",
    "rename": "renamed",
    "restore": "took back",
    "resume": "resumed",
    "retry": "tried again",
    "revoke": "revoked",
    "update": "updated",
}

SENTENCES = {
    "address.subscribe": "{who} asked for mails about {topic} again",
    "address.bounce": "Mails to {address} came back; nothing is sent to it for now",
    "address.complain": "Whoever reads {address} reported a mail as spam and gets no more of that list",
    "address.unsubscribe": "{who} asked for no more mails about {topic}",
    "access.refuse": "{who} was refused {count} times at {place}",
    "alarm.begin": "Mails of incidents began to be late",
    "alarm.end": "Mails of incidents were no longer late",
    "assistant.close": "{who} switched off answers to questions about service statuses",
    "assistant.open": "{who} switched on answers to questions about service statuses",
    "audit.export": "{who} exported {entries} entries of the audit trail",
    "backup.make": "{who} made a backup",
    "alert.switch_off": "{who} switched {what} off",
    "alert.switch_on": "{who} switched {what} on",
    "alert.test": "{who} tested {what}",
    "alert_rights.set": "{who} changed what {company} may do with its alerts",
    "channel.disable": "{what} was given up: nothing reaches it any more",
    "channel.secret": "{who} changed which secrets sign {what}",
    "channel.test": "{who} sent a test to {what}",
    "company.archive": "{who} archived {what}",
    "company.delete": "{who} deleted {what} for good",
    "company.tag": "{who} changed the tags of {what}",
    "company.view_as": "{who} asked to view {host} as {company}",
    "component.set_status": "{who} set {what} to {status} by hand",
    "export.command": "{who} exported {subject}",
    "export.discard": "{who} threw away an export of {subject}",
    "export.download": "{who} downloaded an export of {subject}",
    "export.request": "{who} asked for an export of {subject}",
    "file.delete": "{who} deleted the file {file} of {about}",
    "holding.add": "{who} gave {company} a holding of {service}",
    "import.apply": "{who} brought in {file}",
    "import.discard": "{who} threw away the import of {file}",
    "import.upload": "{who} sent {file} to be brought in",
    "incident.backfill": "{who} entered {what} after the fact",
    "incident.acknowledge": "{who} said for {company} that they know of {what}",
    "incident.edit_wordings": "{who} changed what some are told of {what}",
    "incident_draft.discard": "{who} discarded {what}",
    "incident_draft.fail": "{what} could not be published at its time",
    "incident_draft.save": "{who} saved {what}",
    "incident_template.move": "{who} put templates of reports in order",
    "incident.edit_update": "{who} corrected an update of {what}",
    "incident.export_reach": "{who} downloaded who was reached with {what}",
    "incident.follow": "{who} chose what to hear of {what}",
    "incident.hand_over": "{who} handed {what} over",
    "incident.merge": "{who} merged {what} into another",
    "incident.update": "{who} posted an update on {what}",
    "maintenance.add_note": "{who} added a note to {what}",
    "maintenance.ask": "Whoever looks after {what} was asked about it",
    "membership.add": "{who} let {what} act for {company}",
    "membership.remove": "{who} took {what} out of {company}",
    "calls.upload": "{who} brought in a file of call records of {what}",
    "metric.upload": "{who} brought in a file of samples of {what}",
    "message.delete": "{who} deleted a message of {person} about {about}",
    "postmortem.discard": "{who} threw away the draft of a postmortem of {what}",
    "postmortem.publish": "{who} published the postmortem of {what}",
    "postmortem.write": "{who} wrote on the postmortem of {what}",
    "person.anonymise": "{who} anonymised {what}",
    "person.deactivate": "{who} deactivated {what}",
    "person.email": "{who} changed the address of {what}",
    "person.email-ask": "{who} asked for another address for {what}",
    "person.email-correct": "{who} corrected the address of {what}",
    "person.email-undo": "{who} took back the change of address of {what}",
    "person.invite": "{who} invited {what}{for_company}",
    "person.password": "{who} chose a new password",
    "person.profile": "{who} changed how {what} is addressed",
    "person.reactivate": "{who} let {what} in again",
    "portal.public_page": "{who} changed what the public page of {what} says",
    "person.reset": "{who} sent {what} a link for a new password",
    "person.role": "{who} made {what} {role}",
    "person.withdraw_invitation": "{who} withdrew the invitation of {what}",
    "portal.add_host": "{who} gave {what} the name {host}",
    "portal.admit": "{who} let {company} sign in on {what}",
    "portal.areas": "{who} opened or closed areas on {what}",
    "portal.check_host": "{who} had the name {host} of {what} checked",
    "portal.dismiss": "{who} no longer lets {company} sign in on {what}",
    "portal.override": "{who} {opened} {area} for {company} on {what}",
    "portal.remove_host": "{who} took the name {host} from {what}",
    "portal.status_colors": "{who} changed the colours of service statuses on {what}",
    "portal.wording": "{who} changed what states are called on {what}",
    "mail_template.reset": "{who} took back what the mail {name} said in own words ({language})",
    "mail_template.save": "{who} worded the mail {name} ({language})",
    "mail_template.test": "{who} sent themselves a test of the mail {name} ({language})",
    "leak_proof.run": "{who} ran the leak proof (places found: {leak_count})",
    "notice.add": "{who} wrote {what}",
    "job.add": "{who} made {number} for {company}",
    "job.assign": "{who} gave {number} to {to}",
    "job.edit": "{who} changed {number}",
    "job.move": "{who} moved {number} to “{status}”",
    "notice.edit": "{who} changed {what}",
    "notice.miss": "{what} did not start when it was due",
    "notice.schedule": "{who} had {what} start later",
    "notice.send": "{who} sent {what}",
    "notice.test": "{who} sent themselves a test of {what}",
    "notice.unschedule": "{who} took {what} back to the drafts",
    "quote.add": "{who} made {number} for {company}",
    "quote.assign": "{who} gave {number} to {to}",
    "quote.edit": "{who} changed {number}",
    "quote.price": "{who} changed the lines of {number}",
    "quote.move": "{who} moved {number} to “{status}”",
    "quote.accept": "{number} was accepted by {name}",
    "quote.decline": "{number} was declined by {name}",
    "quote.take_back": "{who} took back the answer to {number}",
    "delivery.replay": "{who} sent {title} to {address} once more",
    "subscriber.add": "{who} subscribed {address}",
    "subscriber.confirm": "{address} was confirmed as a subscriber",
    "subscriber.edit": "{who} changed what {address} hears of",
    "subscriber.export": "{who} exported {count} subscribers",
    "subscriber.follow": "{address} follows one incident",
    "subscriber.import": "{who} brought in {count} subscribers",
    "subscriber.quarantine": "{who} put {address} in quarantine",
    "subscriber.reactivate": "{who} took {address} out of quarantine",
    "subscriber.remove": "{address} is no longer a subscriber, by {who}",
    "relay.arrange": "{who} put the relays in order",
    "relay.mend": "{who} had {what} tried again",
    "relay.switch-off": "{who} switched off {what}",
    "relay.switch-on": "{who} switched on {what}",
    "relay.test": "{who} sent a test mail through {what}",
    "retention.edit": "{who} set how long {kind} are kept to {days} days",
    "retention.forget": "{count} {kind} were forgotten after {days} days",
    "second-factor.add": "{who} set up a second factor",
    "second-factor.codes": "{who} had new recovery codes made",
    "second-factor.recover": "{who} signed in with a recovery code",
    "second-factor.remove": "{who} removed the second factor of {what}",
    "session.company": "{who} went on for {company}",
    "service.everyone": "{who} changed whether every company holds {what}",
    "service_update.announced": "{who} announced scheduled service on {holdings} holdings{for_company}",
    "service_update.cancelled": "{who} cancelled scheduled service on {holdings} holdings{for_company}",
    "service_update.ended": "Scheduled service on {holdings} holdings was over{for_company}",
    "service_update.finished": "{who} said that scheduled service on {holdings} holdings is finished{for_company}",
    "service_update.moved": "{who} moved scheduled service on {holdings} holdings{for_company}",
    "service_update.recovered": "{who} recovered {holdings} holdings with their incident{for_company}",
    "service_update.reminded": "{holdings} holdings were reminded of scheduled service{for_company}",
    "service_update.stated": "{who} set the service status of {holdings} holdings{for_company} to {status}",
    "service_update.undo": "{who} took back {what}",
    "service_view.edit": "{who} changed what is seen of services on {what}{for_company}",
    "service_view.remove": "{who} had {company} see of its services what all others on {what} see",
    "service_window.ask": "{who} asked whether {what} is finished",
    "service_window.confirm": "{who} said that {what} is finished",
    "session.end": "{who} ended a session of {what}",
    "session.refuse": "Sign-in for {what} failed {count} times",
    "session.open": "{who} signed in{for_company}",
    "session.throttle": "Sign-in for {what} was stopped for a while after too many tries",
    "session.view_as": "{who} began to view {host} as {company}",
    "membership.contact": "{who} changed whether {person} decides what mails {what}",
    "preference.change": "{who} changed what mails {what}",
    "suppression.add": "{who} stopped mails to {address}",
    "suppression.lift": "{who} let mails reach {what} again",
    "sign-in-policy.change": "{who} changed what signing in asks of everybody",
    "thread.settle": "{who} said that {about} needs no answer",
    "token.make": "{who} made {what}",
    "token.refuse": "An unknown or ended token was tried {count} times",
    "work_statuses.edit": "{who} saved the statuses of {kind}s",
}
"""What reads better than noun and verb. Names in braces are those of `_words`; what is not there reads “something”."""


CALLED_IN = ("name", "title", "host", "address", "filename", "file")
"""Fields of an entry that say what its object was called, for what has no name any more."""


@dataclass(frozen=True)
class Line:
    """An entry as it is shown: its sentence, and what stood before and after, field by field."""

    entry: AuditEntry
    sentence: str
    changes: Sequence[tuple[str, str, str]]


def lines(entries: Sequence[AuditEntry]) -> list[Line]:
    """The entries with their sentences. One query for each kind of thing they speak of."""
    names = names_in(entries)
    return [Line(entry, sentence(entry, names), changes(entry)) for entry in entries]


def sentence(entry: AuditEntry, names: Names) -> str:
    """What happened, without a full stop at the end."""
    words = _words(entry, names)
    pattern = SENTENCES.get(entry.action)
    if pattern is None:
        verb = entry.action.partition(".")[2]
        done = VERBS.get(verb, verb.replace("_", " ") + " on")
        return _tidy(f"{words['who']} {done} {words['what']}{words['for_company']}")
    return _tidy(pattern.format_map(_Words(words)))


class _Words(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "something"


def _words(entry: AuditEntry, names: Names) -> dict[str, str]:
    told = {**(entry.before or {}), **(entry.after or {})}
    words = {name: _shown(value) for name, value in told.items()}
    noun = NOUNS.get(entry.object_kind, entry.object_kind.replace("_", " "))
    name = names.of(
        entry.object_kind, entry.object_id, next((words[each] for each in CALLED_IN if words.get(each)), "")
    )
    company = names.of("company", entry.company_id)
    words["who"] = names.of("person", entry.actor_id, entry.actor)
    words["what"] = f"{noun} {name}".strip() or "somebody"
    words["company"] = company or "a company"
    is_its_own = entry.object_kind == "company" and entry.object_id == entry.company_id
    words["for_company"] = f" for {company}" if company and not is_its_own else ""
    is_about_one = entry.object_kind in {"company", "person"}
    words["subject"] = words["what"] if is_about_one else f"all {words.get('kind', 'data')}"
    words |= _switched(entry.after or {})
    words.setdefault("place", "something")
    if told.get("role", "") is None:
        words["role"] = "a customer"
    return words


def _switched(after: Mapping[str, Any]) -> dict[str, str]:
    """Which access area was opened, closed or left to the portal domain again."""
    for name, value in after.items():
        if name in set(Area):
            done = "left" if value is None else "opened" if value else "closed"
            return {"opened": done, "area": AREA_WORDS[Area(name)].name}
    return {}


def _tidy(text: str) -> str:
    text = " ".join(text.replace("failed 1 times", "failed once").replace("refused 1 times", "refused once").split())
    return text[:1].upper() + text[1:]


def changes(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Each field that stood before or after: its name, what it was, what it became."""
    before, after = entry.before or {}, entry.after or {}
    fields = list(dict.fromkeys([*before, *after]))
    return [(field.replace("_", " "), _shown(before.get(field)), _shown(after.get(field))) for field in fields]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    return str(value)
