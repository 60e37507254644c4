"""Templates to begin with: what goes wrong at a carrier, in the words of those who notice it."""

from dataclasses import dataclass

from portal.incidents.rules import State


@dataclass(frozen=True)
class Starter:
    """One of the set. `key` never changes, so that it is kept once, whatever becomes of its name."""

    key: str
    name: str
    title: str
    body: str
    state: State | None
    promise: int | None = 30


STARTERS = (
    Starter(
        "calls-fail",
        "Calls fail",
        "Calls through {{components}} fail",
        "Since {{time}} {{zone}}, calls through {{components}} may not connect, or end after a few seconds. Emergency "
        "calls from mobile phones work as usual.\n\nWe are looking for the cause. If a call must go out now, please "
        "use a mobile phone.",
        State.INVESTIGATING,
    ),
    Starter(
        "call-quality",
        "Poor call quality",
        "Poor sound on calls through {{components}}",
        "Since {{time}} {{zone}}, some calls through {{components}} have gaps, an echo, or are heard on one side only. "
        "Calling again often gives a better line.\n\nWe are looking for the cause.",
        State.INVESTIGATING,
    ),
    Starter(
        "internet-down",
        "Internet access is down",
        "No internet access through {{components}}",
        "Since {{time}} {{zone}}, lines through {{components}} have no connection. Your equipment is not the cause: "
        "please leave it switched on, so that it connects again by itself.\n\nWe are looking for the cause.",
        State.INVESTIGATING,
    ),
    Starter(
        "internet-slow",
        "Internet access is slow",
        "Slow internet access through {{components}}",
        "Since {{time}} {{zone}}, lines through {{components}} are slower than usual, or lose the connection for a "
        "moment. What is not urgent, such as large downloads, is better left for later.\n\nWe are looking for the "
        "cause.",
        State.INVESTIGATING,
    ),
    Starter(
        "fibre-cut",
        "Fibre cut",
        "A cut fibre near {{place}}",
        "A fibre was cut near {{place}}, and everything that runs through {{components}} is affected. A repair crew is "
        "on its way; joining fibres takes some hours, and we cannot promise a time yet.\n\nAs soon as the crew has "
        "looked at it, we say how long it will take.",
        State.IDENTIFIED,
        60,
    ),
    Starter(
        "supplier",
        "Trouble at a supplier",
        "Trouble at our supplier {{supplier}}",
        "{{supplier}}, through whom we reach {{what_is_reached}}, has a failure. We have reported it there under "
        "number {{ticket_number}} and press for it to be mended.\n\nWhat we can lead around the failure we do.",
        State.IDENTIFIED,
        60,
    ),
    Starter(
        "power",
        "Power failure at a site",
        "Power failure at {{place}}",
        "At {{place}} the mains supply has failed. Our equipment there runs on batteries until about "
        "{{batteries_last_until}}; a generator is on its way.\n\nShould the supply not be back before then, "
        "{{components}} will be switched off in an orderly way, and we tell you before that.",
        State.IDENTIFIED,
    ),
    Starter(
        "fixed-watching",
        "Mended, under observation",
        "",
        "The cause is found and mended: {{cause}}. Everything should work again; we keep watching until we are "
        "sure.\n\nIf something still does not work, please switch your equipment off and on once, and write to us if "
        "that does not help.",
        State.WATCHING,
        60,
    ),
)
