"""The outbox: broadcasts, deliveries, the slices they are claimed in, relays, suppressions, preferences.

Everything due is a row here; Redis only makes it sooner. Progress is counted from rows, never kept beside them.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    and_,
    false,
    literal_column,
    text,
)
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from portal.database import Base, Versioned
from portal.notifications.channels.rules import ChannelKind, ChannelState
from portal.notifications.profiles import Limits, Profile, Security
from portal.notifications.rules import (
    TOLD_UP_TO,
    USUAL_SOURCE,
    BroadcastState,
    DeliveryState,
    Failure,
    RelayState,
    SuppressionReason,
    SuppressionSource,
)
from portal.searching import KEY_LENGTH, key_of, keyed

RAW: Any = {"synchronize_session": False}
"""Execution options of statements over many rows: the session need not know, nobody holds these rows as objects."""

IS_HASHED = text("address_key LIKE 'sha256:%'")
"""Suppressions whose address was erased with its person (`rules.HASHED`)."""

IS_LIMITED = text("until IS NOT NULL")

IS_DUE = text("state = 'pending' AND channel = 'mail'")
"""What the sending process of mails claims; the other channels have a lane of their own."""

IS_BESIDE_MAIL = text("contact_channel_id IS NOT NULL")
IS_RETRYING = text("state = 'pending' AND attempts > 0")
IS_DOUBTFUL = text("in_doubt > 0")
IS_TO_SUBSCRIBER = text("subscriber_id IS NOT NULL")
DIALLED = text("is_dialled")


class Broadcast(Versioned, Base):
    """One bulk notification, frozen when it was made: who (selector), in which wording (content), about what (topic).

    `idempotency_key` makes a second attempt at the same event a no-op. `kind` names the registered kind that
    knows how to expand the selector; `content` holds the rendered wordings by language. `thread_key` is shared by
    all mails that belong in one conversation. `expand_cursor` is where the expansion goes on, `expanded_at` when
    it was complete. `priority` is lower for sooner; among equals the one that was served longest ago
    (`served_at`) comes next. `resumed_at` is when it last went on after a pause, `note` why it was paused.
    `counted` holds the number of deliveries by state once retention has begun to forget them, None before.
    """

    __tablename__ = "broadcast"
    __table_args__ = (Index("ix_broadcast_created_at", "created_at"), Index("ix_broadcast_state", "state"))

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(250))
    title_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("title"), server_default="")
    selector: Mapped[dict[str, Any]] = mapped_column(JSON)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    thread_key: Mapped[str] = mapped_column(String(120))
    topic: Mapped[str] = mapped_column(String(60))
    state: Mapped[BroadcastState]
    priority: Mapped[int] = mapped_column(default=50)
    expand_cursor: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    expanded_at: Mapped[datetime | None]
    served_at: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None]
    note: Mapped[str | None] = mapped_column(String(500))
    counted: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))

    @validates("title")
    def _key_title(self, _name: str, value: str) -> str:
        self.title_key = key_of(value)
        return value


class Slice(Base):
    """A lease on up to about 1,000 deliveries, held by one sending process until `leased_until`, for one relay.

    Its id is never used again, because a process that lost its lease must not take the next one for its own.
    `connections` is how many it may hold to that relay; the sum over all live slices is bounded by the relay's.
    `ids` names the deliveries, `offered` those of them that a server was offered and has not answered (see `marks.py`).
    """

    __tablename__ = "delivery_slice"
    __table_args__ = (Index("ix_delivery_slice_leased_until", "leased_until"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    relay_id: Mapped[int] = mapped_column(ForeignKey("relay.id", ondelete="CASCADE"), index=True)
    owner: Mapped[str] = mapped_column(String(80))
    connections: Mapped[int]
    leased_until: Mapped[datetime]
    ids: Mapped[str] = mapped_column(Text, default="[]", server_default="[]")
    offered: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class SliceAnswers(Base):
    """What servers have answered of one slice at one moment, and is not in the rows of its deliveries yet.

    It stands for itself (`relay_id` and `claimed_at` are its slice's), so it outlasts the slice. `answers` is JSON: for
    each mail that was taken its id, the moment of its mark, the code, the enhanced code and the words.
    """

    __tablename__ = "delivery_slice_answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    slice_id: Mapped[int] = mapped_column(index=True)
    relay_id: Mapped[int]
    claimed_at: Mapped[datetime]
    answered_at: Mapped[datetime]
    answers: Mapped[str] = mapped_column(Text)


class Delivery(Base):
    """One message to one address. The last server answer stands on it; other attempts have a row of their own.

    `values` are the recipient's variables, `company_ids` the companies it reaches the person through.
    `in_doubt` counts the times a process or connection ended between offering the mail and hearing the answer.
    `first_attempt_at` is the Date of the mail, whichever attempt arrives. `failure` is what the last one was.
    `finished_at` is when it came to its final state. `channel` is "mail", or the kind of the contact channel that
    `contact_channel_id` names; then `address` is only the mask of the real one. `subscriber_id` is whom it goes to who
    has no login.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        # Counting by state, the pace of the last minute and the newest results are all read from this index alone.
        Index("ix_delivery_progress", "broadcast_id", "state", "finished_at"),
        Index(
            "ix_delivery_due",
            "broadcast_id",
            "priority",
            "next_attempt_at",
            "id",
            sqlite_where=IS_DUE,
            postgresql_where=IS_DUE,
        ),
        Index("ix_delivery_retrying", "broadcast_id", sqlite_where=IS_RETRYING, postgresql_where=IS_RETRYING),
        Index("ix_delivery_in_doubt", "broadcast_id", "state", sqlite_where=IS_DOUBTFUL, postgresql_where=IS_DOUBTFUL),
        Index("ix_delivery_address_key", "address_key"),
        # What waits for a channel, what is on its way to it, and what it was last sent.
        Index(
            "ix_delivery_contact_channel_id",
            "contact_channel_id",
            "state",
            "next_attempt_at",
            "id",
            sqlite_where=IS_BESIDE_MAIL,
            postgresql_where=IS_BESIDE_MAIL,
        ),
        Index(
            "ix_delivery_subscriber_id",
            "subscriber_id",
            sqlite_where=IS_TO_SUBSCRIBER,
            postgresql_where=IS_TO_SUBSCRIBER,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcast.id", ondelete="CASCADE"))
    dedupe_key: Mapped[str] = mapped_column(String(64), unique=True)
    message_id: Mapped[str] = mapped_column(String(300), unique=True)
    channel: Mapped[str] = mapped_column(String(20), default="mail")
    contact_channel_id: Mapped[int | None]
    address: Mapped[str] = mapped_column(String(254))
    address_key: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(200), default="")
    person_id: Mapped[int | None]
    subscriber_id: Mapped[int | None]
    company_id: Mapped[int | None]
    company_ids: Mapped[list[int]] = mapped_column(JSON, default=list)
    wording: Mapped[str] = mapped_column(String(20), default="en")
    values: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    priority: Mapped[int] = mapped_column(default=50)
    state: Mapped[DeliveryState] = mapped_column(default=DeliveryState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    in_doubt: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    relay_id: Mapped[int | None]
    first_attempt_at: Mapped[datetime | None]
    sending_since: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    failure: Mapped[Failure | None]
    code: Mapped[int | None]
    enhanced_code: Mapped[str | None] = mapped_column(String(12))
    answer: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]

    broadcast: Mapped[Broadcast] = relationship(lazy="raise_on_sql")


class DeliveryAttempt(Base):
    """An attempt that was no plain success: what the server said, or where the conversation broke."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (UniqueConstraint("delivery_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"))
    number: Mapped[int]
    worker: Mapped[str] = mapped_column(String(80))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime]
    outcome: Mapped[Failure]
    code: Mapped[int | None]
    answer: Mapped[str | None] = mapped_column(String(500))


def _usual_source(context: DefaultExecutionContext) -> SuppressionSource:
    """Where a suppression comes from whose writer did not say: it follows from the reason."""
    return USUAL_SOURCE[context.get_current_parameters()["reason"]]  # type: ignore[no-untyped-call]


class Suppression(Base):
    """Nothing of this scope is sent to this address. `scope` is "all" or a topic such as "incidents".

    `source` is how we know; `detail` the server's words, or why somebody stopped it by hand; `delivery_id` the mail
    that showed it; `created_by_id` who stopped it by hand. After `until` it stops nothing any more.
    """

    __tablename__ = "suppression"
    __table_args__ = (
        UniqueConstraint("address_key", "scope", "reason"),
        Index("ix_suppression_reason", "reason"),
        Index("ix_suppression_until", "until", sqlite_where=IS_LIMITED, postgresql_where=IS_LIMITED),
        Index("ix_suppression_hashed", "id", sqlite_where=IS_HASHED, postgresql_where=IS_HASHED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    address_key: Mapped[str] = mapped_column(String(254))
    scope: Mapped[str] = mapped_column(String(60), default="all")
    reason: Mapped[SuppressionReason]
    source: Mapped[SuppressionSource] = mapped_column(default=_usual_source, server_default="staff")
    detail: Mapped[str | None] = mapped_column(Text)
    delivery_id: Mapped[int | None]
    created_by_id: Mapped[int | None]
    created_at: Mapped[datetime]
    until: Mapped[datetime | None]


class Strike(Base):
    """A day on which a mail to this address failed for now: the mailbox was full, or the server put it off for good.

    One a day and address; three of them within a month, with nothing that arrived in between, put it in quarantine.
    """

    __tablename__ = "strike"
    __table_args__ = (UniqueConstraint("address_key", "day"), Index("ix_strike_created_at", "created_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    address_key: Mapped[str] = mapped_column(String(254))
    day: Mapped[date]
    delivery_id: Mapped[int | None]
    created_at: Mapped[datetime]


class Preference(Base):
    """A person's own word on an opaque topic, such as "incidents" or "service:12", on a channel.

    It counts for more than what their company says. `changed_at` is when they said so (None: before that was noted).
    """

    __tablename__ = "preference"
    __table_args__ = (
        UniqueConstraint("person_id", "topic", "channel"),
        Index("ix_preference_changed_at", "changed_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    topic: Mapped[str] = mapped_column(String(60))
    channel: Mapped[str] = mapped_column(String(20), default="mail")
    wanted: Mapped[bool]
    changed_at: Mapped[datetime | None]


class CompanyPreference(Base):
    """What a company wants of a topic for all of its people who have said nothing themselves."""

    __tablename__ = "company_preference"
    __table_args__ = (
        UniqueConstraint("company_id", "topic", "channel"),
        Index("ix_company_preference_changed_at", "changed_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    topic: Mapped[str] = mapped_column(String(60))
    channel: Mapped[str] = mapped_column(String(20), default="mail")
    wanted: Mapped[bool]
    changed_at: Mapped[datetime]


class Relay(Versioned, Base):
    """An SMTP route, in the order of `position`. The one called "default" has no `host`: it stands for PORTAL_SMTP_URL.

    `fingerprint` is a hash of the address and login last used of the default one, so that a corrected one mends it.
    `password_sealed` is sealed for `RELAY_PASSWORD`. `sender` is the address mails through it come from (None: that of
    the settings). `connections` is how many are held at once by all processes together (None:
    PORTAL_CONNECTIONS_PER_RELAY); `per_minute` and `per_day` bound what it takes in any minute and in any 24 hours
    (None: no bound), as `profile` says or, for a custom one, as was typed. `next_at` is when, at an even pace, the next
    mail is due. `state_since` is when it came to its state, `failing_since` when it last stopped answering. `test` is
    what the last test mail met (see `trial.Report`). A row that was removed stays for what was sent through it.

    People edit the row and so raise its version; how it fares is written past the version, without a conflict.
    """

    __tablename__ = "relay"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    host: Mapped[str | None] = mapped_column(String(253))
    port: Mapped[int | None]
    security: Mapped[Security] = mapped_column(default=Security.NONE, server_default="none")
    username: Mapped[str | None] = mapped_column(String(254))
    password_sealed: Mapped[str | None] = mapped_column(Text)
    sender: Mapped[str | None] = mapped_column(String(254))
    profile: Mapped[Profile] = mapped_column(default=Profile.UNLIMITED, server_default="unlimited")
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(default=0)
    connections: Mapped[int | None]
    per_minute: Mapped[int | None]
    per_day: Mapped[int | None]
    next_at: Mapped[datetime | None]
    state: Mapped[RelayState] = mapped_column(default=RelayState.UP)
    state_since: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    pause_seconds: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    last_answer: Mapped[str | None] = mapped_column(String(500))
    switched_off_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    test: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    @property
    def limits(self) -> Limits:
        return Limits(self.per_minute, self.per_day)

    @property
    def is_default(self) -> bool:
        """Whether this is the relay of PORTAL_SMTP_URL."""
        return self.host is None


RELAY_PASSWORD = "relay password"  # noqa: S105 (the purpose it is sealed for)

MENDED: dict[str, Any] = {
    "state": RelayState.UP,
    "state_since": None,
    "paused_until": None,
    "pause_seconds": 0,
    "failing_since": None,
}
"""The values of a relay whose faults are forgiven."""


class RelayUse(Base):
    """What a relay was given in one span of time, `span` seconds long from `began_at` on: 1 or 600.

    `offered` is counted in the transaction that marks mails as being sent, where the relay is bounded; for any other,
    and what was `taken` and `refused`, about once a second, so that a process that is killed may forget a second of it.
    """

    __tablename__ = "relay_use"

    relay_id: Mapped[int] = mapped_column(ForeignKey("relay.id", ondelete="CASCADE"), primary_key=True)
    span: Mapped[int] = mapped_column(primary_key=True)
    began_at: Mapped[datetime] = mapped_column(primary_key=True)
    offered: Mapped[int] = mapped_column(default=0)
    taken: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)


class ContactChannel(Versioned, Base):
    """Where a company, a person, a subscriber or, with none, the staff is told beside mail: telephone, room, machine.

    `address` and the secrets are sealed, `hint` is what may be shown of the address, and `fingerprint` a keyed hash of
    it, so that nobody stores one twice. One that `is_dialled` is nobody's: a number that something names itself, kept
    while it is told something (see `channels/dialled.py`). `topics` are the opaque keys it wants to hear of. `secret`
    signs a webhook; `old_secret` signs beside it until `old_secret_until`. `failures` counts failures in a row since
    `failing_since`; until `rests_until` nothing is sent to it. `served_at` is when it last had its turn. While
    `leased_until` is ahead one sending process, `lease_owner`, has it; none of these raises the version people edit by.
    """

    __tablename__ = "contact_channel"
    __table_args__ = (
        CheckConstraint("company_id IS NULL OR person_id IS NULL", name="one_owner"),
        Index("ix_contact_channel_company_id", "company_id"),
        Index("ix_contact_channel_person_id", "person_id"),
        Index("ix_contact_channel_subscriber_id", "subscriber_id"),
        Index("ix_contact_channel_fingerprint", "fingerprint"),
        # One row a number, whoever names it at the same moment.
        Index("uq_contact_channel_dialled", "fingerprint", unique=True, sqlite_where=DIALLED, postgresql_where=DIALLED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    subscriber_id: Mapped[int | None]
    is_dialled: Mapped[bool] = mapped_column(default=False, server_default=false())
    kind: Mapped[ChannelKind]
    label: Mapped[str] = mapped_column(String(80))
    address: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(String(120))
    fingerprint: Mapped[str] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(10), default="en")
    topics: Mapped[list[str]] = mapped_column(JSON, default=list)
    secret: Mapped[str | None] = mapped_column(Text)
    old_secret: Mapped[str | None] = mapped_column(Text)
    old_secret_until: Mapped[datetime | None]
    state: Mapped[ChannelState] = mapped_column(default=ChannelState.WORKING)
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    rests_until: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(String(500))
    code: Mapped[int | None]
    last_sent_at: Mapped[datetime | None]
    served_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(80))
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None]


class Outbound(Versioned, Base):
    """Whether this copy of the data may send. One row, whose id is 1, made by the migration.

    `fingerprint` is a hash of where the data lies, as the first sending process found it (None: not looked yet);
    elsewhere it is a copy, and a copy must not send what the original sends too. While `paused_at` is set nothing is
    offered to any server, for the `reason` given. `installation_id` is another after each restore. `backed_up_at` and
    `backup_bytes` tell of the last file `portal backup` made.
    """

    __tablename__ = "outbound"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    installation_id: Mapped[str] = mapped_column(String(32))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    paused_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(String(500))
    backed_up_at: Mapped[datetime | None]
    backup_bytes: Mapped[int | None] = mapped_column(BigInteger)


IS_SOMEBODYS = and_(ContactChannel.subscriber_id.is_(None), ContactChannel.is_dialled.is_(False))
"""The channels that companies, people and the staff have, in lists and to change: those of subscribers, and numbers
named for one thing, come and go by themselves."""

IS_PENDING = Delivery.state == literal_column("'pending'")
IS_MAIL = Delivery.channel == literal_column("'mail'")
"""Written out and not bound, because only so the databases see that the partial index on both answers."""

LAST_TOLD = Broadcast.selector[TOLD_UP_TO].as_integer()
"""The priority of the last whom a broadcast still tells; NULL where it tells everybody it was to tell."""
