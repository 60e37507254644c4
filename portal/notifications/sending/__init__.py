"""The sending process, from its claim of mails to their answers.

`sender.py` is the loop; it talks to relays through `switchboard.py`, to the database through `storing.py`, and keeps
account of its slices in `tally.py`. `pace.py` says how much it claims, `clerk.py` does what takes a while.
"""

from portal.notifications.sending.sender import Sender

__all__ = ["Sender"]
