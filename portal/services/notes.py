"""What to say of a status: when to choose it, notes to begin with, and what to look out for. English, for staff."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.services.rules import TARGETS, ServiceStatus, Wanted


@dataclass(frozen=True)
class Starter:
    """Notes to begin with. What stands in [brackets] says what belongs there, and is to be filled in."""

    title: str
    body: str


@dataclass(frozen=True)
class Guide:
    """What a status means, when it is used, what makes a good note of it, and notes to begin with."""

    meaning: str
    when: str
    do: tuple[str, ...]
    avoid: tuple[str, ...]
    starters: tuple[Starter, ...]


GUIDES: dict[ServiceStatus, Guide] = {
    ServiceStatus.NORMAL: Guide(
        meaning="Healthy. Everything works as it should.",
        when="What every service is until somebody says otherwise, and what it is again after a recovery.",
        do=(
            "Tell the recovery, to everybody who was told of the problem.",
            "Say what the cause was, in one sentence anybody understands.",
            "Say what was caught up: mails that waited, backups that ran late.",
        ),
        avoid=(
            "Do not blame anybody, no supplier and no colleague.",
            "Do not say “resolved” while you are still watching it.",
        ),
        starters=(
            Starter(
                "Restored, with the cause",
                "The service has been working normally again since [when it was restored].\n\n"
                "The cause was [root cause, in plain words]. [What was caught up, such as delayed mails] has been "
                "caught up, and there is nothing you need to do.\n\n"
                "Thank you for your patience.",
            ),
            Starter(
                "Planned work is done",
                "The planned work is finished and everything is working normally. [What is different for users, or "
                "that nothing is].\n\nThank you for making room for it.",
            ),
        ),
    ),
    ServiceStatus.SCHEDULED: Guide(
        meaning="Planned maintenance. It is meant to happen, and it has a beginning and an end.",
        when="To announce work that is coming, best two days ahead or more.",
        do=(
            "Announce it 48 hours ahead or earlier.",
            "Say what users will notice, and whether they must do anything.",
            "Say what is gained by it.",
        ),
        avoid=(
            "Do not promise that nobody will notice it.",
            "Do not write in the words of the trade: “mail is unavailable” says more than “MX failover”.",
        ),
        starters=(
            Starter(
                "Planned maintenance",
                "We will be working on [what is being worked on], in order to [what is gained by it].\n\n"
                "During that time [expected impact, such as no mail can be sent]. "
                "[Whether users must do anything, or that they need do nothing].",
            ),
            Starter(
                "Restart",
                "[What is restarted] will be restarted to install updates. It will be unavailable for about "
                "[how many minutes] within the window. Please [what users must do before, such as save their work].",
            ),
        ),
    ),
    ServiceStatus.INTERMITTENT: Guide(
        meaning="Partial outage. It works for some, or not all of the time.",
        when="When some users are affected, or something is slow or fails now and then.",
        do=(
            "Tell it within 15 minutes, even while you know little.",
            "Say what users notice, and what they can do meanwhile.",
            "Say when you will write again, and keep to it.",
            "Give an estimate without promising it: “we expect”, “about”.",
        ),
        avoid=(
            "Do not guess at causes.",
            "Do not write “minor” or “some inconvenience”: it is not minor to whom it happens.",
        ),
        starters=(
            Starter(
                "We are investigating",
                "We are aware that [what users notice]. [Who is affected, such as some users or one site].\n\n"
                "We are investigating. [What users can do meanwhile]. We will write again by "
                "[when the next update comes].",
            ),
            Starter(
                "The cause is found",
                "We have found why [what users notice]: [cause, in plain words]. We are working on it and expect it to "
                "be settled by about [estimated restoration].\n\n"
                "We will write again by [when the next update comes].",
            ),
        ),
    ),
    ServiceStatus.DOWN: Guide(
        meaning="Full outage. It cannot be used.",
        when="When the service is not available to the company at all.",
        do=(
            "Tell it within 5 minutes, with whatever you know by then.",
            "Acknowledge what it does to their work, and apologise.",
            "Estimate when it will be back without promising it: “we expect”, “about”.",
            "Say when you will write again, and tell the recovery as well.",
        ),
        avoid=(
            "Do not blame anybody, no supplier and no colleague.",
            "Do not use words only engineers know.",
            "Do not stay silent because there is nothing new: say that.",
        ),
        starters=(
            Starter(
                "It is down, we are on it",
                "[What cannot be used] is down since [when it began]. We know that this stops "
                "[what users cannot do because of it], and we are sorry.\n\n"
                "We are working on it with everybody we have. [What users can do meanwhile]. We will write again by "
                "[when the next update comes].",
            ),
            Starter(
                "Cause and estimate",
                "The cause of the outage is [cause, in plain words]. We expect to have it working again by about "
                "[estimated restoration].\n\n"
                "We apologise for what this does to your work. We will write again by [when the next update comes].",
            ),
        ),
    ),
}


@dataclass(frozen=True)
class Hint:
    """Something to think about before it is sent. `field` is what it is about; it never stands in the way."""

    sentence: str
    field: str


def warnings(
    wanted: Wanted,
    now: datetime,
    *,
    was_mailed: bool = False,
    is_hit: bool = False,
    targets: Mapping[ServiceStatus, timedelta] = TARGETS,
) -> list[Hint]:
    """What to think about before this is sent.

    `was_mailed` is whether the problem it ends was told by mail, `is_hit` whether an open incident hits who it is for.
    """
    match wanted.status:
        case ServiceStatus.SCHEDULED:
            return _of_window(wanted, now, targets[ServiceStatus.SCHEDULED])
        case ServiceStatus.NORMAL:
            return _of_recovery(wanted, was_mailed=was_mailed, is_hit=is_hit)
        case _:
            return _of_problem(wanted)


def _of_window(wanted: Wanted, now: datetime, wished: timedelta) -> list[Hint]:
    if wanted.starts_at is None:
        return []
    ahead = wanted.starts_at - now
    if ahead <= timedelta():
        return [Hint("It has begun already, so this is no announcement any more.", "starts_at")]
    if ahead < wished:
        return [Hint(f"It starts in {_span(ahead)}. People should hear {_span(wished)} ahead.", "starts_at")]
    return []


def _of_problem(wanted: Wanted) -> list[Hint]:
    found = []
    if not wanted.notes.strip():
        found.append(Hint("There are no notes. Say what users notice, and when you will write again.", "notes"))
    if wanted.ends_at is None:
        found.append(Hint("There is no estimate of when it will be over. A rough one is better than none.", "ends_at"))
    return found


def _of_recovery(wanted: Wanted, *, was_mailed: bool, is_hit: bool) -> list[Hint]:
    found = []
    if is_hit:
        found.append(Hint("An incident is still open that hits this, so not all may be well yet.", "status"))
    if not wanted.notify and was_mailed:
        found.append(Hint("The problem was mailed, so people are waiting to hear that it is over.", "notify"))
    return found


def _span(span: timedelta) -> str:
    """So long, in the largest unit that says it: minutes below two hours, hours up to three days, then days."""
    minutes = max(1, int(span.total_seconds() // 60))
    for size, most, word in ((1, 120, "minute"), (60, 72 * 60, "hour")):
        if minutes < most:
            count = minutes // size
            return f"{count} {word}{'' if count == 1 else 's'}"
    return f"{minutes // 1440} days"
