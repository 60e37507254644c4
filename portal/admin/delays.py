"""What staff are told beside "done": what waits while Redis is away, and what was called off with it."""

from portal import events

LATER = "Redis does not answer as it should, so mails and open pages follow some seconds later."


def done(sentence: str) -> str:
    """The sentence that confirms what was just committed, and what is different about it now."""
    return f"{sentence} {LATER}" if events.bell().is_delayed else sentence


def saved(called_off: int, sentence: str = "Saved.") -> str:
    """What confirms a change after which fewer are told: how many messages that waited for others were called off."""
    if not called_off:
        return sentence
    told = "1 message that still waited was" if called_off == 1 else f"{called_off:,} messages that still waited were"
    return f"{sentence} {told} called off; what was sent stays sent."
