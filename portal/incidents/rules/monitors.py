"""What external monitors say, read into one shape. Sources: the webhook formats of Prometheus Alertmanager (version 4),
Grafana Alerting (which extends it) and Uptime Kuma 2.

Nothing of it is believed: every text is shortened, every list bounded, and what is no such message is refused with a
sentence for whoever set the monitor up.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from portal.incidents.rules import Severity, worst

TITLE_LENGTH = 200
TEXT_LENGTH = 2000
SIGNALS_AT_MOST = 200
"""Alerts of one message that are read; a monitor that groups more has lost its grouping."""

WORDS_AT_MOST = 60
"""Words of one signal that are compared with what the monitor watches."""


class Shape(StrEnum):
    """Whose messages a monitor sends. MAIL is anything that writes mails, people too (`rules.mail_in`)."""

    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"
    UPTIME_KUMA = "uptime_kuma"
    MAIL = "mail"


class NotUnderstoodError(Exception):
    """A body that is not what this kind of monitor sends; str() says what is missing."""


@dataclass(frozen=True)
class Signal:
    """One thing a monitor says: something is wrong, or is over.

    `fold` is the same for everything said of the same condition. `words` are the values and `name=value` pairs it can
    be recognised by, in lower case. `severity` is None where the monitor does not say how bad it is, `began_at` where
    it does not say since when.
    """

    fold: str
    is_over: bool
    title: str
    text: str
    words: frozenset[str]
    severity: Severity | None = None
    began_at: datetime | None = None


def read(shape: Shape, body: Any) -> list[Signal]:
    """What a message says, each condition once. Raises NotUnderstoodError; a trial message says nothing: []."""
    if shape is Shape.MAIL:
        raise NotUnderstoodError("Send the mail as it came, as message/rfc822.")
    if not isinstance(body, Mapping):
        raise NotUnderstoodError("The body must be a JSON object.")
    return _of_kuma(body) if shape is Shape.UPTIME_KUMA else _of_alerts(body)


_SEVERITIES = {
    **dict.fromkeys(
        ("critical", "page", "emergency", "disaster", "p1", "major", "high", "error"), Severity.MAJOR_OUTAGE
    ),
    **dict.fromkeys(("average", "p2", "partial", "medium"), Severity.PARTIAL_RTH),
    **dict.fromkeys(("warning", "warn", "minor", "low", "p3", "degraded"), Severity.PERFORMANCE_ISSUE),
}


def severity_of(word: str) -> Severity | None:
    """How bad a monitor's own word for it is; None for a word nobody agreed on."""
    return _SEVERITIES.get(word.strip().casefold())


def _of_alerts(body: Mapping[str, Any]) -> list[Signal]:
    alerts = body.get("alerts")
    if not isinstance(alerts, Sequence) or isinstance(alerts, str):
        raise NotUnderstoodError("There is no list “alerts” in it.")
    return [_of_alert(each, body) for each in alerts[:SIGNALS_AT_MOST] if isinstance(each, Mapping)]


def _of_alert(alert: Mapping[str, Any], group: Mapping[str, Any]) -> Signal:
    labels = _texts(alert.get("labels")) or _texts(group.get("commonLabels"))
    notes = _texts(alert.get("annotations")) or _texts(group.get("commonAnnotations"))
    title = notes.get("summary") or labels.get("alertname") or _text(group.get("title")) or "An alert without a name"
    said = [notes.get("description", ""), _text(alert.get("valueString")), _text(alert.get("generatorURL"))]
    fingerprint = _text(alert.get("fingerprint")) or "\n".join(f"{name}={labels[name]}" for name in sorted(labels))
    return Signal(
        fold=_hashed(fingerprint),
        is_over=_text(alert.get("status") or group.get("status")).casefold() in {"resolved", "ok", "normal"},
        title=_line(title, TITLE_LENGTH),
        text="\n".join(each for each in said if each)[:TEXT_LENGTH],
        words=_words([*labels.values(), *(f"{name}={value}" for name, value in labels.items())]),
        severity=severity_of(labels.get("severity") or labels.get("priority") or ""),
        began_at=_moment(alert.get("startsAt")),
    )


_UP, _MAINTENANCE = 1, 3


def _of_kuma(body: Mapping[str, Any]) -> list[Signal]:
    if "heartbeat" not in body or "monitor" not in body:
        raise NotUnderstoodError("There is no “heartbeat” and no “monitor” in it.")
    beat, monitor = body["heartbeat"], body["monitor"]
    if beat is None or monitor is None:
        return []  # what its “Test” button sends
    if not isinstance(beat, Mapping) or not isinstance(monitor, Mapping):
        raise NotUnderstoodError("“heartbeat” and “monitor” must be objects.")
    name = _text(monitor.get("name")) or "A monitor without a name"
    tags = monitor.get("tags")
    tagged = [_texts(each) for each in tags[:WORDS_AT_MOST]] if isinstance(tags, list) else []
    known_by = [name, _text(monitor.get("hostname")), _text(monitor.get("url"))]
    known_by += [each.get("name", "") for each in tagged]
    known_by += [f"{each.get('name', '')}={each.get('value', '')}" for each in tagged if each.get("value")]
    return [
        Signal(
            fold=_hashed(f"{_text(monitor.get('id'))}\n{name}"),
            is_over=beat.get("status") in (_UP, _MAINTENANCE),
            title=_line(name, TITLE_LENGTH),
            text=_text(beat.get("msg") or body.get("msg"))[:TEXT_LENGTH],
            words=_words(known_by),
            began_at=_moment(beat.get("time")),
        )
    ]


# What it concerns


@dataclass(frozen=True)
class Match:
    """A word of a monitor that stands for a component, and how bad it is where the monitor does not say."""

    word: str
    component_id: int
    severity: Severity


def severities(
    signal: Signal, matches: Iterable[Match], titles: Mapping[str, int], usual: Severity
) -> dict[int, Severity]:
    """The components a signal is about, each with its severity, the worst that is said of it.

    Those that were named for this monitor; where none of them is meant, those whose own title (`titles`, in lower
    case) is one of its words. Empty: nobody has said what it is about.
    """
    found: dict[int, Severity] = {}
    for match in matches:
        if match.word.casefold() in signal.words:
            said = signal.severity or match.severity
            found[match.component_id] = worst([said, found.get(match.component_id, Severity.NONE)])
    if found:
        return found
    return {component_id: signal.severity or usual for title, component_id in titles.items() if title in signal.words}


def began(signal: Signal, now: datetime) -> datetime | None:
    """Since when it is wrong, as a report may say it: None where the monitor does not know, or its clock is ahead."""
    return signal.began_at if signal.began_at is not None and signal.began_at < now else None


def draft_text(titles: Sequence[str]) -> str:
    """What a draft says to customers before anybody wrote anything: what is known, and nothing else."""
    if not titles:
        return "We are looking into a problem that our monitoring has reported. We will tell you more shortly."
    named = titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
    return f"Our monitoring reports a problem with {named}. We are looking into it and will tell you more shortly."


# Reading what may be anything


def _text(value: Any) -> str:
    return "".join(each for each in str(value) if each.isprintable() or each == "\n") if _is_plain(value) else ""


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {
        _text(name)[:200]: _text(each)[:TEXT_LENGTH]
        for name, each in list(value.items())[:WORDS_AT_MOST]
        if _text(each)
    }


def _line(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def _words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset([" ".join(each.split()).casefold()[:200] for each in texts if each.strip()][: 2 * WORDS_AT_MOST])


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_YEAR = re.compile(r"(19|2\d)\d\d-")


def _moment(value: Any) -> datetime | None:
    """A moment in ISO 8601, without a zone in UTC; Go's year 1, which means “never”, is none."""
    text = _text(value)
    if not _YEAR.match(text):
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.replace("Z", "+00:00")))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def words_of(text: str) -> Collection[str]:
    """What somebody wrote into the field of a match, one a line, as it is compared."""
    return list(dict.fromkeys(" ".join(line.split()) for line in text.splitlines() if line.strip()))
