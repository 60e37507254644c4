"""What staff are told beside "done" while Redis is away: it is done, and whoever waits hears of it a little later."""

from portal import events

LATER = "Redis does not answer as it should, so mails and open pages follow some seconds later."


def done(sentence: str) -> str:
    """The sentence that confirms what was just committed, and what is different about it now."""
    return f"{sentence} {LATER}" if events.bell().is_delayed else sentence
