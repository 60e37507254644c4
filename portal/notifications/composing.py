"""Makes the mails of claimed deliveries: the wordings of their broadcasts are built once, and filled for each."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from flask_babel import force_locale
from sqlalchemy import select

from portal import events
from portal.config import Settings
from portal.extensions import db
from portal.notifications.bounces.rules import envelope_sender
from portal.notifications.compose import ComposeError, Letter, Wording, envelope_address
from portal.notifications.kinds import LateValues, kind_named, language_of
from portal.notifications.lanes import Mail
from portal.notifications.leases import Claim, Taken
from portal.notifications.models import Broadcast
from portal.notifications.rules import HeaderError, name_key, thread_root

Values = Mapping[str, str]


class Composer:
    """What a sending process knows of wordings. `now` reads the clock, `in_session` does something in a transaction."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime],
        in_session: Callable[[Callable[[], Values]], Values],
    ) -> None:
        self.settings = settings
        self.now = now
        self._in_session = in_session
        self._key = name_key(settings.secret_key)
        self._shared: dict[tuple[int, int, str], Wording | str] = {}
        self._wordings: dict[tuple[int, str, str], Wording | str] = {}
        self._loaded: set[tuple[int, str]] = set()
        self._threads: dict[int, str] = {}
        self._late_values: dict[int, LateValues] = {}

    def load(self, claim: Claim) -> None:
        """Build the wordings of broadcasts that are new here; they were frozen, so once is enough."""
        self._build(claim)
        for (broadcast_id, language), values in _shared_values(claim.deliveries).items():
            wording = self._wordings.get((broadcast_id, language, claim.sender))
            if isinstance(wording, Wording) and broadcast_id not in self._late_values:
                wording = wording.given(values)
            if wording is not None:
                self._shared[claim.slice_id, broadcast_id, language] = wording

    def _build(self, claim: Claim) -> None:
        broadcasts = {each.broadcast_id for each in claim.deliveries}
        new = {each for each in broadcasts if (each, claim.sender) not in self._loaded}
        if not new:
            return
        self._loaded.update((each, claim.sender) for each in new)
        for broadcast in db.session.scalars(select(Broadcast).where(Broadcast.id.in_(new))):
            self._threads[broadcast.id] = broadcast.thread_key
            if late_values := kind_named(broadcast.kind).late_values:
                self._late_values[broadcast.id] = late_values
            for language, wording in broadcast.content.items():
                self._wordings[broadcast.id, language, claim.sender] = self._wording(
                    broadcast, language, wording, claim.sender
                )
        events.rollback()

    def forget(self, slice_id: int) -> None:
        """Nothing of this slice is composed any more."""
        for key in [key for key in self._shared if key[0] == slice_id]:
            del self._shared[key]

    def mail(self, taken: Taken, slice_id: int) -> Mail:
        """The mail itself; ComposeError if there is no making it."""
        wording = self._shared[slice_id, taken.broadcast_id, taken.wording]
        if isinstance(wording, str):
            raise ComposeError(wording)
        root = thread_root(self._key, self._threads[taken.broadcast_id], taken.address_key, self.settings.mail_domain)
        address = envelope_address(taken.address)
        values = self._values(taken)
        letter = Letter(taken.message_id, root, address, taken.name, taken.first_attempt_at, values)
        sender = envelope_sender(self.settings.bounce_address, taken.message_id, wording.sender)
        return Mail(taken, slice_id, sender, address, wording.fill(letter))

    def _wording(self, broadcast: Broadcast, language: str, wording: dict[str, str], sender: str) -> Wording | str:
        """The wording ready to be filled, or why it cannot be."""
        kind = kind_named(broadcast.kind)
        domain = self.settings.mail_domain
        try:
            with force_locale(language_of(language)):
                return Wording(
                    wording,
                    kind.names,
                    mail_from=sender,
                    list_name=str(kind.label),
                    list_id=f"{broadcast.topic.replace(':', '.')}.{domain}" if kind.is_list else "",
                    feedback_id=f"{broadcast.id}:{kind.name}:{kind.topic}:{domain}",
                )
        except (HeaderError, UnicodeError, KeyError) as refusal:
            return str(refusal)

    def _values(self, taken: Taken) -> Values:
        """The stored values, with those that may stand in no row; a ComposeError where these say it must not go."""
        late_values = self._late_values.get(taken.broadcast_id)
        if late_values is None:
            return taken.values
        try:
            return {**taken.values, **self._in_session(lambda: late_values(taken.values, self.now()))}
        except ValueError as refusal:
            events.rollback()
            raise ComposeError(str(refusal)) from None


def _shared_values(deliveries: Iterable[Taken]) -> dict[tuple[int, str], dict[str, str]]:
    """The values that all of these with the same wording have in common, by broadcast and key of the wording."""
    found: dict[tuple[int, str], dict[str, str]] = {}
    for each in deliveries:
        of, values = (each.broadcast_id, each.wording), each.values
        shared = found.setdefault(of, values)
        if not shared.items() <= values.items():
            found[of] = {name: value for name, value in shared.items() if name in values and values[name] == value}
    return found
