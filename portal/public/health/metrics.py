"""The figures in the form Prometheus reads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portal.notifications.outlook import Health
from portal.notifications.rules import BroadcastState, DeliveryState, Failure, RelayState, SuppressionReason
from portal.operation.queries import MailFigures, Measures
from portal.operation.rules import INCIDENT_KINDS, Returns, Schema
from portal.public.health.status import Standing, told

PROCESS = CollectorRegistry()
"""What the web process that answers knows of itself: processor time, memory, open files, garbage collection."""

ProcessCollector(registry=PROCESS)
PlatformCollector(registry=PROCESS)
GCCollector(registry=PROCESS)


class Figures(Collector):
    """What was measured just now. Without `measures`, because the database is away, only that is said."""

    def __init__(
        self,
        schema: Schema,
        measures: Measures | None,
        mail: MailFigures | None,
        *,
        redis: bool,
        engine: str,
        now: datetime,
        status: Standing | None = None,
    ) -> None:
        self.schema, self.measures, self.mail = schema, measures, mail
        self.redis, self.engine, self.now, self.status = redis, engine, now, status

    def collect(self) -> Iterable[Metric]:
        info = GaugeMetricFamily("signalbox_info", "The version that runs.", labels=("version", "engine"))
        info.add_metric((version("signalbox"), self.engine), 1)
        yield info
        yield _gauge("database_up", "Whether the database answers.", self.schema is not Schema.AWAY)
        yield _gauge("migrations_at_head", "Whether the tables are those of this version.", self.schema is Schema.OK)
        yield _gauge("redis_up", "Whether Redis answers.", self.redis)
        if self.measures:
            yield from self._counted(self.measures)
        if self.mail:
            yield from self._mail(self.mail)
        if self.status:
            yield from told(self.status)

    def _counted(self, found: Measures) -> Iterator[Metric]:
        recent = "of broadcasts that are open or began within a day"
        yield _by_state("deliveries", f"Mails {recent}.", DeliveryState, found.deliveries)
        yield _by_state(
            "broadcasts", "Broadcasts that are open or began within a day.", BroadcastState, found.broadcasts
        )
        yield _by_state("relays", "Relays.", RelayState, found.relays)
        yield _gauge("sessions_live", "Sessions that are signed in.", found.sessions_live)
        yield _gauge("incidents_open", "Incidents that are not fixed.", found.incidents_open)
        yield _gauge("audit_unsealed", "Audit entries that are not in the chain yet.", found.audit_unsealed)
        yield _gauge("database_bytes", "Size of the database.", found.database_bytes)
        if found.wal_bytes is not None:
            yield _gauge("database_wal_bytes", "Size of SQLite's write-ahead log.", found.wal_bytes)
        if found.returns.is_polled:
            yield from _mailbox(found.returns)
        yield _gauge("sending_paused", "Whether this installation sends nothing.", found.paused_since is not None)
        if found.backed_up_at:
            made = found.backed_up_at.timestamp()
            yield _gauge("backup_timestamp_seconds", "When `portal backup` last made a file.", made)

    def _mail(self, found: MailFigures) -> Iterator[Metric]:
        """The same names whatever there is, so that an alarm can be set on what does not occur yet."""
        kinds = dict.fromkeys(sorted(INCIDENT_KINDS | found.outgoing.due_since.keys()), 0.0)
        kinds |= {kind: self._age(since) for kind, since in found.outgoing.due_since.items()}
        age = self._age(found.outgoing.oldest_due) if found.outgoing.oldest_due else 0
        yield _gauge("oldest_due_seconds", "For how long the mail that waits longest could have gone out.", age)
        yield _labelled(
            "oldest_unsent_seconds", "The same by the kind of broadcast it is of; 0 where none waits.", "kind", kinds
        )
        yield _gauge("incident_mail_late", "Whether a mail of an incident has waited for too long.", bool(found.late))
        yield _gauge("mails_last_minute", "Mails that servers took in the last minute.", found.outgoing.per_minute)
        yield _labelled(
            "deliveries_failed",
            "Mails that failed for good, of broadcasts that are open or began within a day.",
            "failure",
            {**dict.fromkeys(Failure, 0), **found.failures},
        )
        doubts = {"sent": found.in_doubt.get("sent", 0), "unknown": found.in_doubt.get("unknown", 0)}
        yield _labelled(
            "deliveries_in_doubt", "Mails that may have arrived twice (sent) or not at all.", "state", doubts
        )
        yield _labelled(
            "suppressions",
            "Addresses that get nothing of a list or of all.",
            "reason",
            {**dict.fromkeys(SuppressionReason, 0), **found.suppressed},
        )
        yield from _relays(found.outgoing.relays, self.now)

    def _age(self, since: datetime) -> float:
        return (self.now - since).total_seconds()


def _mailbox(found: Returns) -> Iterator[Metric]:
    """The mailbox reports of returned mails come to, where there is one."""
    yield _gauge("bounce_mailbox_up", "Whether the mailbox of reports could be read.", found.failing_since is None)
    if found.read_at:
        at = found.read_at.timestamp()
        yield _gauge("bounce_mailbox_read_timestamp_seconds", "When the mailbox of reports was last read.", at)
    if found.unread is not None:
        yield _gauge("bounce_reports_unread", "Reports that lay in the mailbox after the last look.", found.unread)


def _relays(relays: Sequence[Health], now: datetime) -> Iterator[Metric]:
    """Each relay that is in use, by its name."""
    state = GaugeMetricFamily(
        "signalbox_relay_state",
        "1 for the state a relay is in: up, trying, full, paused or broken.",
        labels=("relay", "state"),
    )
    paused = GaugeMetricFamily("signalbox_relay_paused_seconds", "Until it is tried again.", labels=("relay",))
    left = GaugeMetricFamily(
        "signalbox_relay_budget_left", "What is left of its day, where bounded.", labels=("relay",)
    )
    taken = GaugeMetricFamily(
        "signalbox_relay_mails_last_minute", "Mails it took in the last minute.", labels=("relay",)
    )
    for each in relays:
        name, until = each.relay.name, each.relay.paused_until
        state.add_metric((name, each.look), 1)
        paused.add_metric((name,), max(0.0, (until - now).total_seconds()) if until else 0)
        taken.add_metric((name,), each.minute.taken)
        if each.left is not None:
            left.add_metric((name,), each.left)
    yield from (state, paused, left, taken)


def exposition(figures: Figures, accepted: str) -> tuple[bytes, str]:
    """The text of these figures and of the process, in the format an Accept header asks for, and its content type."""
    ours = CollectorRegistry(auto_describe=False)
    ours.register(figures)
    encode, content_type = choose_encoder(accepted)
    both = CollectorRegistry(auto_describe=False)
    both.register(_Joined(ours, PROCESS))
    return encode(both), content_type


class _Joined(Collector):
    def __init__(self, *parts: CollectorRegistry) -> None:
        self.parts = parts

    def collect(self) -> Iterable[Metric]:
        for part in self.parts:
            yield from part.collect()


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"signalbox_{name}", words, value=float(value))


def _labelled(name: str, words: str, label: str, counts: Mapping[str, float]) -> Metric:
    """A gauge with a sample for each of these."""
    family = GaugeMetricFamily(f"signalbox_{name}", words, labels=(label,))
    for value, count in counts.items():
        family.add_metric((str(value),), count)
    return family


def _by_state(name: str, words: str, states: Iterable[str], counts: dict[str, int] | object) -> Metric:
    """A gauge with a sample for every state there is, so that none is missing while it is zero."""
    family = GaugeMetricFamily(f"signalbox_{name}", words, labels=("state",))
    for state in states:
        family.add_metric((str(state),), counts.get(str(state), 0))  # type: ignore[union-attr]
    return family
