"""What sending a notice would do: as a reader gets it, whom it reaches, and when it arrives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from markupsafe import Markup

from portal.catalogue.notices import queries
from portal.catalogue.notices.actions import Wordings, checked_wordings
from portal.catalogue.notices.letters import body_of, content_of, filled, filled_body, wording_for
from portal.catalogue.notices.mails import NOTICE, recipients_among
from portal.catalogue.notices.queries import Addressee, Reach
from portal.catalogue.notices.rules import FIRST, TOPIC, Chosen
from portal.config import Settings
from portal.errors import RuleViolation
from portal.notifications.actions import values_of
from portal.notifications.arrival import Arrival
from portal.notifications.channels.reaching import ChannelReach
from portal.notifications.kinds import Recipient
from portal.notifications.outlook import arrival
from portal.notifications.queries import homes_of

READERS_OFFERED = 8
"""Of those who would get it, so many are offered to read it as."""

NO_WAY_OUT = "/u/…"
"""Stands for a reader's own way off the list, which is theirs alone to follow."""


@dataclass(frozen=True)
class Letter:
    """A notice as one reader gets it. `body` is its text alone, as clean HTML; `document` the whole HTML part."""

    language: str
    subject: str
    body: Markup
    text: str
    document: str


@dataclass(frozen=True)
class Preview:
    """Everything staff see before they send. `trouble` is why there is no letter, where it is the text's fault.

    `channels` are those beside mail. `arrival` is when its mails will have gone out; it `is_too_slow` if some would
    still wait when the notice is given up.
    """

    reader: Recipient | None
    readers: Sequence[Addressee]
    letter: Letter | None
    trouble: str
    reach: Reach
    channels: ChannelReach
    arrival: Arrival

    @property
    def is_too_slow(self) -> bool:
        ends_at, begins_at = self.arrival.ends_at, self.arrival.begins_at
        return begins_at is not None and (ends_at is None or ends_at > self.arrival.asked_at + NOTICE.expires_after)

    @property
    def days(self) -> int:
        """For how many days a notice is tried."""
        return NOTICE.expires_after.days


SAMPLE = Recipient(None, (), "reader@example.com", "Robin Reader", FIRST, {"company": "Your company", "services": ""})
"""Who reads it while nobody is chosen."""


def preview_of(
    wordings: Wordings,
    chosen: Chosen,
    now: datetime,
    *,
    reader: str = "",
    reader_id: int | None = None,
    language: str | None = None,
) -> Preview:
    """The preview of a notice, read by whoever is called so, else by the first it reaches. At most sixteen queries."""
    reach = queries.reach_of(chosen, now)
    people, found = readers_of(chosen, now, text=reader, only=reader_id)
    letter, trouble = None, ""
    try:
        letter = letter_to(found or SAMPLE, checked_wordings(wordings), language=language)
    except RuleViolation as violation:
        trouble = violation.sentence
    channels = queries.channels_of(chosen, now, current_app.config["SETTINGS"])
    return Preview(
        found, people, letter, trouble, reach, channels, arrival(reach.people, now, priority=NOTICE.priority)
    )


def readers_of(
    chosen: Chosen, now: datetime, *, text: str = "", only: int | None = None
) -> tuple[Sequence[Addressee], Recipient | None]:
    """Some who would get it, and the first of them as a recipient. Three queries."""
    if chosen.is_nobody:
        return (), None
    people = queries.addressees(chosen, now, limit=READERS_OFFERED, text=text, only=only, reached_only=True)
    found = recipients_among(people[:1], chosen, now, tells_services=True)
    return people, found[0] if found else None


def letter_to(reader: Recipient, wordings: Wordings, *, language: str | None = None) -> Letter:
    """The notice as this reader gets it; in another language than theirs when one is named that it is written in."""
    settings: Settings = current_app.config["SETTINGS"]
    spoken = language if language and language in wordings else wording_for(wordings, reader.language)
    home = homes_of(reader.company_ids[:1]).get(reader.company_ids[0]) if reader.company_ids else None
    values = values_of(reader, TOPIC, home, settings)
    values["unsubscribe_url"] = values["portal_url"] + NO_WAY_OUT
    whole = filled(content_of({spoken: wordings[spoken]})[spoken], values)
    body = filled_body(body_of(wordings[spoken]["body"])[0], values)
    return Letter(spoken, whole["subject"], body, whole["text"], whole["html"])
