"""How staff read spans of time, verdicts of timeliness, and what an update did."""

from datetime import timedelta

from portal.admin.services.place import blueprint
from portal.services.rules import ServiceStatus, UpdateKind
from portal.services.timeliness import Verdict, Why

KINDS = {
    UpdateKind.STATED: "",
    UpdateKind.ANNOUNCED: "announced",
    UpdateKind.REMINDED: "reminded of",
    UpdateKind.MOVED: "moved",
    UpdateKind.CANCELLED: "cancelled",
    UpdateKind.ENDED: "ended by the clock",
    UpdateKind.FINISHED: "called finished",
    UpdateKind.RECOVERED: "recovered with its incident",
}
"""By what an update was made, where the status alone does not say it."""

VERDICTS = {
    Verdict.IN_TIME: ("In time", "good"),
    Verdict.LATE_TAIL: ("Last mail late", "warn"),
    Verdict.MISSED: ("Missed", "bad"),
    Verdict.WAITING: ("No mail yet", "quiet"),
    Verdict.NOBODY: ("Nobody to tell", "quiet"),
}
"""The word and the tone of a verdict."""

TARGET_WORDS = {
    ServiceStatus.SCHEDULED: "ahead of the window",
    ServiceStatus.INTERMITTENT: "after it began",
    ServiceStatus.DOWN: "after it began",
    ServiceStatus.NORMAL: "after it was over",
}
"""From what a target counts."""


def short(span: timedelta | None) -> str:
    """A span in its two largest units, cut: "40 s", "4 min", "2 h 5 min", "3 d 1 h"; "–" for none."""
    if span is None:
        return "–"
    if span < timedelta():
        return f"−{short(-span)}"
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86_400
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def why_in_words(why: Why | None, at_setting: timedelta, mail: timedelta | None) -> str:
    """Why a target was missed, as a sentence. `at_setting` is how late (or how far ahead) it was set, `mail` how long
    its mail then took."""
    match why:
        case Why.SET_LATE:
            return f"It was set {short(at_setting)} after it began."
        case Why.ANNOUNCED_LATE:
            return (
                f"It was announced {short(at_setting)} ahead."
                if at_setting > timedelta()
                else "It was announced after it had started."
            )
        case Why.CLOCK:
            return "The scheduler was not running when it was due."
        case Why.MAIL:
            return "No mail has gone out yet." if mail is None else f"The mail left {short(mail)} after it was set."
        case None:
            return ""


@blueprint.context_processor
def _words() -> dict[str, object]:
    return {"short": short, "kind_words": KINDS}
