"""What calls come to, counted in the slow and obvious way: one call after the other, one step after the other."""

from collections import Counter
from collections.abc import Iterable, Mapping

from portal.usage.calls.rules import Call, CallStep, Outcome

DAY = 86_400_000
LENGTHS = {CallStep.MINUTE: 60_000, CallStep.HOUR: 3_600_000, CallStep.DAY: DAY}
Key = tuple[str, CallStep, int]


def scopes(call: Call) -> list[str]:
    found = [""]
    if call.trunk:
        found.append("t:" + call.trunk)
    if call.service_id:
        found.append(f"s:{call.service_id}")
    return found


def is_attempt(call: Call) -> bool:
    return call.outcome not in (Outcome.CHALLENGED, Outcome.REDIRECTED)


def end_of(call: Call) -> int | None:
    """When it was over, as far as anybody knows."""
    moments = [call.started, *(at for at in (call.ringing, call.answered) if at is not None)]
    if call.ended is not None:
        return call.ended if call.ended >= max(moments) else None
    if call.outcome and call.outcome is not Outcome.ANSWERED:
        return max(moments)
    return None


def closed_at(call: Call) -> int:
    end = end_of(call)
    return call.started + DAY if end is None else end


def in_progress(calls: Iterable[Call], at: int) -> int:
    return sum(is_attempt(call) and call.started < at <= closed_at(call) for call in calls)


def tallied(calls: Iterable[Call]) -> Mapping[Key, tuple[int, ...]]:  # noqa: C901 (in one piece it is read as the definitions are)
    """By scope, step and beginning: the sums in the order of their columns, then `open`, then `peak`."""
    found: dict[Key, list[int]] = {}
    seconds: Counter[tuple[str, int]] = Counter()

    def row(scope: str, step: CallStep, at: int) -> list[int]:
        return found.setdefault((scope, step, at - at % LENGTHS[step]), [0] * 10)

    for call in filter(is_attempt, calls):
        heard = min((at for at in (call.ringing, call.answered) if at is not None), default=None)
        end = end_of(call)
        for scope in scopes(call):
            seconds[scope, call.started // 1000] += 1
            for step in CallStep:
                start = row(scope, step, call.started)
                start[0] += 1
                start[1] += call.answered is not None
                good = (Outcome.ANSWERED, Outcome.BUSY, Outcome.NO_ANSWER, Outcome.REJECTED)
                start[2] += call.outcome in good or (call.outcome is Outcome.CANCELLED and call.ringing is not None)
                if heard is not None:
                    start[3] += 1
                    start[4] += heard - call.started
                if call.answered is not None and end is not None:
                    row(scope, step, end)[5] += 1
                    row(scope, step, end)[6] += end - call.answered
                row(scope, step, closed_at(call))[7] += 1
                if step is not CallStep.MINUTE:
                    at = call.started - call.started % LENGTHS[step] + LENGTHS[step]
                    while at <= closed_at(call):
                        row(scope, step, at)[8] += 1
                        at += LENGTHS[step]
    for (scope, second), count in seconds.items():
        for step in CallStep:
            each = row(scope, step, second * 1000)
            each[9] = max(each[9], count)
    return {key: tuple(values) for key, values in found.items()}
