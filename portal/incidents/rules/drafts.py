"""A report that is not published yet: what it holds, and how that is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.incidents.rules.languages import Translations
from portal.incidents.rules.wordings import Wording


class Origin(StrEnum):
    """Who began a draft."""

    HAND = "hand"
    MONITOR = "monitor"
    MAIL = "mail"
    ALERT = "alert"


class Stage(StrEnum):
    """What has become of a draft."""

    OPEN = "open"
    PUBLISHED = "published"
    DISCARDED = "discarded"


@dataclass(frozen=True)
class DraftContent:
    """A report as it would be published. Nothing of it is checked before it is.

    `severities` are None as long as nobody has said what it affects. `next_update` and `started_at` are as
    `actions.publish` takes them; without `started_at` it begins when it is published. `values` fill the variables of
    its texts (`rules.templates`), `wordings` are what some are told instead of `body`,
    `translations` title and text in other languages.
    """

    title: str = ""
    body: str = ""
    state: State = State.INVESTIGATING
    severities: Mapping[int, Severity] | None = None
    audience: Audience = Audience.EVERYONE
    visibility: Visibility = Visibility.PUBLIC
    notify: bool = True
    mail_affected_only: bool = False
    next_update: timedelta | None = timedelta(minutes=30)
    started_at: datetime | None = None
    wordings: tuple[Wording, ...] = ()
    translations: Translations = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "title": self.title,
            "body": self.body,
            "state": self.state.value,
            "severities": None
            if self.severities is None
            else {str(each): severity.value for each, severity in self.severities.items()},
            "audience": self.audience.value,
            "visibility": self.visibility.value,
            "notify": self.notify,
            "mail_affected_only": self.mail_affected_only,
            "next_update": None if self.next_update is None else int(self.next_update.total_seconds()),
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "wordings": [each.to_json() for each in self.wordings],
            "values": dict(self.values),
            "translations": {code: dict(said) for code, said in self.translations.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "DraftContent":
        """As it was stored."""
        severities = stored["severities"]
        return cls(
            title=stored["title"],
            body=stored["body"],
            state=State(stored["state"]),
            severities=None
            if severities is None
            else {int(each): Severity(severity) for each, severity in severities.items()},
            audience=Audience(stored["audience"]),
            visibility=Visibility(stored["visibility"]),
            notify=stored["notify"],
            mail_affected_only=stored["mail_affected_only"],
            next_update=None if stored["next_update"] is None else timedelta(seconds=stored["next_update"]),
            started_at=datetime.fromisoformat(stored["started_at"]) if stored["started_at"] else None,
            wordings=tuple(Wording.from_json(each) for each in stored["wordings"]),
            values=stored["values"],
            translations=stored.get("translations", {}),
        )
