"""The postmortem of an incident in the words that machines know it by."""

STATE = "postmortem"
"""What an incident is, to machines, once its postmortem can be read; and the state of that last entry."""


def notify_key(incident_id: int) -> str:
    """The idempotency key of the broadcast about a postmortem: it is told once, whatever happens."""
    return f"postmortem:{incident_id}:notify"
