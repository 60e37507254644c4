"""What a mail about a service status says: the templates there are, our own words, and a broadcast's wordings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from flask import render_template
from flask_babel import force_locale
from flask_babel import gettext as _
from markupsafe import Markup

from portal import calendars, plaintext
from portal.catalogue.notices.letters import beginning_of
from portal.domains.queries import wordings_by_domain
from portal.filters import full_duration, look, markdown, worded
from portal.language import LANGUAGES
from portal.notifications.kinds import Content, wording_key
from portal.notifications.templates.queries import OwnWords, own_words
from portal.notifications.templates.rules import Template, Words, cleaned, register_template, told
from portal.notifications.wordings import rendered
from portal.services.rules import ServiceStatus, UpdateKind

PATH = "/services"
"""Where customers see their services."""

DIGEST = "outage_several_services"
"""The template of one mail about many services."""

BY_STATUS = {
    ServiceStatus.NORMAL: "outage_operating_normally",
    ServiceStatus.SCHEDULED: "outage_service_scheduled",
    ServiceStatus.INTERMITTENT: "outage_intermittent_problems",
    ServiceStatus.DOWN: "outage_system_down",
}

OF_WINDOWS = frozenset({UpdateKind.ANNOUNCED, UpdateKind.REMINDED, UpdateKind.MOVED, UpdateKind.CANCELLED})
"""What is told of scheduled service before it is over."""

RECOVERS = frozenset({UpdateKind.ENDED, UpdateKind.FINISHED, UpdateKind.RECOVERED})


def mailed_as(kind: UpdateKind, status: ServiceStatus) -> ServiceStatus:
    """As which status an update is mailed: scheduled service ahead, or over, or what was stated."""
    if kind in OF_WINDOWS:
        return ServiceStatus.SCHEDULED
    return ServiceStatus.NORMAL if kind in RECOVERS else status


VARIABLES: Mapping[str, str] = {
    "service_name": "the service, with the reader’s own references",
    "company_name": "the reader’s company, or all of theirs that this is about",
    "status": "the status, as the portal calls it",
    "what_changed": "one sentence on what has happened: a problem, a window that was moved, that all is well again",
    "notes": "the notes of the update",
    "start_time": "when the scheduled service starts, or since when; in the reader’s own time zone",
    "end_time": "when it ends, is expected to be over, or was over; in the reader’s own time zone",
    "lasted": "how long it lasted, once it is over",
    "ticket_number": "the number of the ticket",
    "incident_url": "the address of the incident behind it, where there is one the reader may see",
    "portal_url": "the address of the reader’s portal",
    "name": "the reader’s name",
    "address": "the reader’s e-mail address",
    "brand": "the brand of the reader’s portal",
    "support": "one sentence on how to reach you, as the portal has it",
    "unsubscribe_url": "the reader’s own way off the list; it stands under every mail anyway",
}
"""Everything that may stand in double braces, and what it becomes."""

OF_DIGEST: Mapping[str, str] = {
    "services": "the services this is about, each on a line of its own, with the reader’s own references",
    **{name: meaning for name, meaning in VARIABLES.items() if name != "service_name"},
}

LINKABLE = frozenset({"portal_url", "incident_url", "unsubscribe_url"})

OF_READERS = frozenset({"service_name", "company_name", "start_time", "end_time", "services"})
"""Variables that differ from reader to reader, beside those every mail has."""


def _built_in(name: str, language: str) -> Words:
    """Our own words for a template; whoever causes the mail, they speak the language of whoever reads it."""
    with force_locale(language):
        subject, text, html = (
            render_template(f"mail/service_built_in/{name}.{part}").strip() for part in ("subject.txt", "txt", "html")
        )
    return Words(subject, text, html)


def _register(name: str, label: str, meaning: str, variables: Mapping[str, str] = VARIABLES) -> Template:
    return register_template(
        Template(
            name=name,
            label=label,
            meaning=meaning,
            variables=variables,
            builtin=partial(_built_in, name),
            linkable=LINKABLE,
            of_many_lines=frozenset({"notes", "services", "support"}),
        )
    )


_register(
    BY_STATUS[ServiceStatus.NORMAL],
    "Operating normally",
    "when a problem is over, and when scheduled service is",
)
_register(
    BY_STATUS[ServiceStatus.SCHEDULED],
    "Service scheduled",
    "when scheduled service is announced, begins soon, is moved or is cancelled",
)
_register(BY_STATUS[ServiceStatus.INTERMITTENT], "Intermittent problems", "when something works only in part")
_register(BY_STATUS[ServiceStatus.DOWN], "System is down", "when something does not work at all")
_register(
    DIGEST,
    "Several services at once",
    "instead of single mails, when more services of a company change together than are told of one by one",
    OF_DIGEST,
)


# What a broadcast says

NOTES, TICKET, END, INCIDENT = "n", "t", "e", "i"
"""What may be kept from a reader; a variant of a wording is called after what it leaves out, such as "en-nt"."""


@dataclass(frozen=True)
class Facts:
    """What there is to tell in one broadcast. `befores` are the statuses that were stated before.

    `service_name` is None in a digest. `lasted` is known once it is over, `incident` is the public id of one that
    customers may open. `entry` is what calendars are told.
    """

    kind: UpdateKind
    status: ServiceStatus
    service_name: str | None
    notes: str = ""
    ticket: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    lasted: timedelta | None = None
    incident: str | None = None
    befores: frozenset[ServiceStatus] = frozenset()
    is_late: bool = False
    entry: calendars.Entry | None = None

    @property
    def template(self) -> str:
        return DIGEST if self.service_name is None else BY_STATUS[self.mailed_as]

    @property
    def mailed_as(self) -> ServiceStatus:
        return mailed_as(self.kind, self.status)

    @property
    def to_keep(self) -> frozenset[str]:
        """What of it may be kept from a reader: when it was over is no secret, when it is to end may be."""
        end = self.ends_at is not None and self.mailed_as is not ServiceStatus.NORMAL
        there = {NOTES: self.notes, TICKET: self.ticket, END: end, INCIDENT: self.incident}
        return frozenset(letter for letter, has in there.items() if has)


def variant_of(kept_back: Collection[str]) -> str:
    """The name of the variant that leaves this out."""
    return "".join(sorted(kept_back))


def content_of(facts: Facts, variants: Collection[str], *, own: OwnWords | None = None, mark: str = "") -> Content:
    """The wordings of a broadcast: in every language, in these variants, and once more for each portal domain that
    words it differently.

    `own` are staff's words as they stand, read unless they are given; `mark` stands before the subject. Two queries.
    """
    own = own or own_words(facts.template)
    states = wordings_by_domain()
    content: Content = {}
    for language in LANGUAGES:
        for domain_id in (None, *sorted({*own.domain_ids, *states})):
            with force_locale(language), worded(states.get(domain_id or 0, {})):
                for variant in variants:
                    made = _wording(facts, own.words(language, domain_id), variant, language, mark)
                    if domain_id is None or made != content[wording_key(language, None, variant)]:
                        content[wording_key(language, domain_id, variant)] = made
    return content


def wording_of(facts: Facts, words: Words, language: str, domain_id: int | None) -> tuple[dict[str, str], str]:
    """One wording in these words, nothing kept back, as the people of a portal domain would get it; and its HTML
    without the frame. One query."""
    states = wordings_by_domain()
    with force_locale(language), worded(states.get(domain_id or 0, {})):
        return _wording(facts, words, "", language, ""), _said(facts, words, "").html


def words_of(facts: Facts, words: Words) -> Words:
    """These words with all in them that every reader shares, nothing kept back, in the language that is spoken."""
    return _said(facts, words, "")


def _said(facts: Facts, words: Words, variant: str) -> Words:
    """The words with all in them that every reader of this variant shares."""
    incident = facts.incident if INCIDENT not in variant else None
    notes = _notes(facts, variant)
    values = {
        "status": str(look("service", facts.mailed_as.value).label),
        "what_changed": what_changed(facts),
        "notes": plaintext.from_html(notes),
        "ticket_number": "" if TICKET in variant else facts.ticket,
        "lasted": full_duration(facts.lasted) if facts.lasted is not None else "",
    }
    moments = (("start_time", facts.starts_at), ("end_time", facts.ends_at if END not in variant else None))
    return told(
        words,
        values,
        rich={"notes": str(notes)},
        links={"incident_url": f"{{{{portal_url}}}}/incidents/{incident}" if incident else ""},
        empty={name for name, moment in moments if moment is None},
    )


def _notes(facts: Facts, variant: str) -> Markup:
    return markdown(facts.notes if NOTES not in variant else "")


def _wording(facts: Facts, words: Words, variant: str, language: str, mark: str) -> dict[str, str]:
    said, seen, changed = _said(facts, words, variant), look("service", facts.mailed_as.value), what_changed(facts)
    wording = rendered(
        "service",
        {
            "subject": mark + said.subject,
            "body_text": said.text,
            "body_html": cleaned(said.html),
            "beginning": beginning_of(said.text),
            "tone": seen.tone,
            "path": PATH,
            "status": seen.label,
            "what_changed": changed,
            "is_digest": facts.service_name is None,
        },
    )
    if facts.entry is not None and END not in variant:
        ticket = "" if TICKET in variant else facts.ticket
        parts = (changed, plaintext.from_html(_notes(facts, variant)), ticket)
        wording["calendar"] = calendars.written(
            facts.entry,
            summary=f"{seen.label}: {facts.service_name or _('Several of your services')}",
            description="\n\n".join(part for part in parts if part),
            language=language,
        )
    return wording


def what_changed(facts: Facts) -> str:
    """One sentence on what has happened, in the language that is spoken."""
    if facts.kind is UpdateKind.STATED:
        return str(_of_problem(facts)) if facts.status is not ServiceStatus.NORMAL else _recovered()
    said = {
        UpdateKind.ANNOUNCED: _(
            "We are going to do scheduled service, and tell you in advance so that you can plan for it."
        ),
        UpdateKind.REMINDED: _("A reminder: scheduled service begins soon."),
        UpdateKind.MOVED: _("The scheduled service has been moved. This is the new time."),
        UpdateKind.CANCELLED: _("The scheduled service has been cancelled. Nothing will be done at this time."),
        UpdateKind.ENDED: _("The scheduled service is over. Thank you for your patience."),
        UpdateKind.FINISHED: _("The scheduled service is finished. Thank you for your patience."),
        UpdateKind.RECOVERED: _recovered(),
    }
    late = " " + _("This reaches you later than it should, for which we are sorry.") if facts.is_late else ""
    return f"{said[facts.kind]}{late}"


def _recovered() -> str:
    return str(_("Everything works again as it should. Thank you for your patience."))


def _of_problem(facts: Facts) -> str:
    before = next(iter(facts.befores)) if len(facts.befores) == 1 else ServiceStatus.NORMAL
    if facts.status is ServiceStatus.DOWN:
        if before is ServiceStatus.DOWN:
            return str(_("It is still not available. We go on working on it with priority, and have news for you."))
        if before is ServiceStatus.INTERMITTENT:
            return str(_("It has become worse, and is not available now. We are working on it with priority."))
        return str(_("It is not available at the moment. We are working on it with priority."))
    if before is ServiceStatus.DOWN:
        return str(_("It works again in part. We go on until all of it does."))
    if before is ServiceStatus.INTERMITTENT:
        return str(_("It still does not work as it should. We go on looking into it, and have news for you."))
    return str(_("It does not work as it should, for some people or some of the time. We are looking into it."))


def labels_of(held: Sequence[tuple[str, str]]) -> list[str]:
    """Names of services with the references they are held under, each service once: "Email (A-1, A-2)"."""
    references: dict[str, list[str]] = {}
    for name, reference in held:
        theirs = references.setdefault(name, [])
        if reference and reference not in theirs:
            theirs.append(reference)
    return [f"{name} ({', '.join(theirs)})" if theirs else name for name, theirs in references.items()]
