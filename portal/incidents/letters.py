"""What a mail about planned work says: the wordings of a broadcast, and what in them is each reader's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from functools import lru_cache

from flask import current_app
from flask_babel import force_locale, format_datetime
from flask_babel import gettext as _

from portal import plaintext
from portal.calendars import Entry, calendar_of, event_of
from portal.config import Settings
from portal.filters import DATES, markdown
from portal.incidents.calendars import IMPACT, RESCHEDULED, STATUS, Note, sequence_of
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.languages import Texts, subject_in, subjects_after, told_in
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.language import current, zone, zone_word
from portal.notifications.compose import OWN_LINES
from portal.notifications.kinds import Content, language_of
from portal.notifications.wordings import render_wordings

PATH = "/maintenances/"
"""Where customers see planned work, before its public id."""

AHEAD = frozenset({Notice.ANNOUNCED, Notice.REMINDED, Notice.MOVED, Notice.STARTED, Notice.EXTENDED, Notice.NOTE})
"""Notices in which it matters what one will notice of the work, as it is not over."""

TONES = {
    Notice.MOVED: "warn",
    Notice.EXTENDED: "warn",
    Notice.COMPLETED: "good",
    Notice.CANCELLED: "quiet",
}
"""The tones of notices; the others look planned."""

_END_OF_ENTRY = "END:VEVENT\r\n"


@dataclass(frozen=True)
class Work:
    """What there is to tell of planned work. `body` is what was written for it, Markdown, or "".

    `titles` and `bodies` are both in other languages, `subjects` what the mails of it are called (`rules.languages`).
    `before` is the window it was told with before, where that was another; `lasted` is from when to when it really was
    done, once it is. `told_at` is when this is told.
    """

    public_id: str
    title: str
    state: MaintenanceState
    notice: Notice
    impact: WorkImpact
    starts_at: datetime
    ends_at: datetime
    components: Sequence[str]
    body: str
    told_at: datetime
    sequence: int = 0
    before: tuple[datetime, datetime] | None = None
    lasted: tuple[datetime, datetime] | None = None
    is_late: bool = False
    titles: Texts = field(default_factory=dict)
    bodies: Texts = field(default_factory=dict)
    subjects: Texts = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done: it is completed, or will not be."""
        return self.state in (MaintenanceState.COMPLETED, MaintenanceState.CANCELLED)

    @property
    def length(self) -> timedelta:
        """How long it lasts, or lasted."""
        begin, end = self.lasted or (self.starts_at, self.ends_at)
        return end - begin

    @property
    def moments(self) -> dict[str, datetime]:
        """The moments each reader gets in their own zone."""
        found = dict(zip(("starts", "ends"), self.lasted or (self.starts_at, self.ends_at), strict=True))
        if self.before is not None:
            found |= {"old_starts": self.before[0], "old_ends": self.before[1]}
        return found


def content_of(work: Work) -> Content:
    """The wordings in every language, with the calendar. What differs per reader stays a variable."""
    content = render_wordings(
        "maintenance",
        in_language=lambda language: _seen(work, language),
        work=work,
        for_subscribers=True,
        heading=heading,
        lead=lead,
        impact_sentence=impact_sentence,
        tone=TONES.get(work.notice, "planned"),
        tells_impact=work.notice in AHEAD,
        path=f"{PATH}{work.public_id}",
    )
    for key, wording in content.items():
        with force_locale(language_of(key)):
            wording["calendar"] = calendar_wording(work)
    return content


def _seen(work: Work, language: str) -> dict[str, str]:
    """What the templates show of it in one language."""
    html = markdown(told_in(language, work.body, work.bodies))
    title = told_in(language, work.title, work.titles)
    subject = subject_in(language, subjects_after(work.subjects, work.title, work.titles))
    return {"title": title, "subject_title": subject, "body_text": plaintext.from_html(html), "body_html": html}


def calendar_wording(work: Work) -> str:
    """The entry in the language that is spoken, with a place for the lines that are a reader's own."""
    entry = Entry(
        uid="",
        sequence=sequence_of(work.sequence, work.state),
        starts_at=work.starts_at,
        ends_at=work.ends_at,
        is_cancelled=work.state is MaintenanceState.CANCELLED,
        changed_at=work.told_at,
        organizer=organizer(),
    )
    parts = [lead(work.notice, is_late=False), *described(work)]
    event = event_of(
        entry,
        summary=summary(told_in(current(), work.title, work.titles)),
        description="\n\n".join(filter(None, parts)),
        language=current(),
    )
    # No line that people wrote begins with this: theirs stand behind a name, or a blank.
    head, _end, tail = calendar_of([event]).rpartition(f"\r\n{_END_OF_ENTRY}")
    return f"{head}\r\n{{{{{OWN_LINES}}}}}\r\n{_END_OF_ENTRY}{tail}"


def described(work: Work) -> list[str]:
    """What a calendar says of the work below its title, in the language that is spoken."""
    return [
        "" if work.is_over else impact_sentence(work.impact),
        _("What is worked on: %(components)s.", components=", ".join(work.components)) if work.components else "",
        plaintext.from_html(markdown(told_in(current(), work.body, work.bodies))),
    ]


def summary(title: str) -> str:
    """What the work is called in a calendar, which holds other things beside it."""
    return str(_("Maintenance: %(title)s", title=title))


def organizer() -> str:
    """The address that entries of calendars come from."""
    own: Settings = current_app.config["SETTINGS"]
    return parseaddr(own.mail_from)[1]


def provider() -> str:
    """Whose work it is, to programs: the domain our mails come from."""
    own: Settings = current_app.config["SETTINGS"]
    return own.mail_domain


def note_of(public_id: str, state: MaintenanceState, impact: WorkImpact, *, is_moved: bool = False) -> Note:
    """What programs of customers' networks are told of work in this state."""
    status = RESCHEDULED if is_moved and state is MaintenanceState.SCHEDULED else STATUS[state]
    return Note(public_id, provider(), status, IMPACT[impact])


# Sentences, in the language that is spoken.


def heading(notice: Notice) -> str:
    """What a notice is called."""
    return str(
        {
            Notice.ANNOUNCED: _("Planned maintenance"),
            Notice.REMINDED: _("Reminder: maintenance begins soon"),
            Notice.MOVED: _("Maintenance moved"),
            Notice.STARTED: _("Maintenance has begun"),
            Notice.VERIFYING: _("Maintenance is being checked"),
            Notice.COMPLETED: _("Maintenance completed"),
            Notice.EXTENDED: _("Maintenance takes longer"),
            Notice.CANCELLED: _("Maintenance cancelled"),
            Notice.NOTE: _("News about maintenance"),
        }[notice]
    )


def lead(notice: Notice, *, is_late: bool) -> str:
    """One sentence on what has happened; "" where that is only in what was written."""
    said = {
        Notice.ANNOUNCED: _("We tell you in advance so that you can plan for it."),
        Notice.REMINDED: _("The work begins soon, as we have told you."),
        Notice.MOVED: _("The work has been moved. This is the new time."),
        Notice.STARTED: _("We are working on it now."),
        Notice.VERIFYING: _("The work is done, and we are making sure that everything is as it should be."),
        Notice.COMPLETED: _("The work is done. Thank you for your patience."),
        Notice.EXTENDED: _("The work takes longer than we had planned. This is the new time."),
        Notice.CANCELLED: _("The work will not be done. Nothing happens at this time."),
        Notice.NOTE: "",
    }[notice]
    late = _("This reaches you later than it should, for which we are sorry.") if is_late else ""
    return " ".join(str(each) for each in (said, late) if each)


def impact_sentence(impact: WorkImpact) -> str:
    """What those who use the components will notice."""
    return str(
        {
            WorkImpact.NO_IMPACT: _("You should not notice anything of it."),
            WorkImpact.REDUCED_REDUNDANCY: _(
                "Everything goes on working, but with less in reserve than usual should anything else fail."
            ),
            WorkImpact.DEGRADED: _("While it lasts, things may be slower than usual or fail now and then."),
            WorkImpact.OUTAGE: _("While it lasts, what is worked on is not available."),
        }[impact]
    )


@lru_cache(maxsize=4096)
def window_in(starts_at: datetime, ends_at: datetime, language: str, zone_name: str) -> str:
    """A window in the reader's own zone, with the zone named, and in UTC: "21 Nov 2026, 23:00–23:30 CET (22:00–22:30
    UTC)"."""
    begin, end = (moment.astimezone(zone(zone_name)) for moment in (starts_at, ends_at))
    local = _span(begin, end, language, DATES[language][1])
    if begin.tzname() == end.tzname() == "UTC":
        return local
    if not begin.utcoffset() and not end.utcoffset():
        return f"{local} (= UTC)"
    first, last = (moment.astimezone(UTC) for moment in (starts_at, ends_at))
    are_same_day = first.date() == last.date() == begin.date() == end.date()
    return f"{local} ({_span(first, last, language, 'HH:mm' if are_same_day else DATES[language][2])})"


def _span(begin: datetime, end: datetime, language: str, pattern: str) -> str:
    def said(moment: datetime, pattern: str) -> str:
        return str(format_datetime(moment, pattern, rebase=False))

    with force_locale(language):
        begins_in = "" if begin.tzname() == end.tzname() else f" {zone_word(begin)}"
        if begin.date() == end.date():
            return f"{said(begin, pattern)}{begins_in}–{said(end, 'HH:mm')} {zone_word(end)}"
        return f"{said(begin, pattern)}{begins_in} – {said(end, pattern)} {zone_word(end)}"
