"""The shape of an announcement: its words in each language, from when to when, and where."""

import secrets
from datetime import datetime

from wtforms import BooleanField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.admin.forms import VersionedForm
from portal.admin.services.forms import TimesForm
from portal.errors import RuleViolation
from portal.language import LANGUAGES

LONGEST_TYPED = 100_000
"""Characters a text takes at all; how long it may be is a rule of announcements, which says so in a sentence."""


class _Words(TimesForm):
    """What both forms have in common."""

    is_pinned = BooleanField("Pin it above the incidents")
    tells_subscribers = BooleanField("Tell subscribers")

    @property
    def wordings(self) -> dict[str, dict[str, str]]:
        """What is typed, by language."""
        return {
            code: {"title": self[f"title_{code}"].data or "", "body": self[f"body_{code}"].data or ""}
            for code in LANGUAGES
        }

    def times(self) -> tuple[datetime, datetime | None]:
        """From when to when; RuleViolation for what is left empty or cannot be."""
        zone = self.clock_of()
        starts_at = self.moment("starts_at", zone)
        if starts_at is None:
            raise RuleViolation("Say from when on it stands there.", "starts_at")
        return starts_at, self.moment("ends_at", zone)


for _code, _name in LANGUAGES.items():
    setattr(_Words, f"title_{_code}", StringField(f"Title ({_name})", [Length(max=LONGEST_TYPED)]))
    setattr(_Words, f"body_{_code}", TextAreaField(f"Text ({_name})", [Length(max=LONGEST_TYPED)]))


class NewAnnouncementForm(_Words):
    """A new one; `key` is the same however often the form is sent."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    domain_id = SelectField("Portal domain", coerce=int)


class AnnouncementForm(_Words, VersionedForm):
    """One that exists; it stays on its portal domain."""
