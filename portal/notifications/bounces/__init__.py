"""What comes back: reports that a mail did not arrive (RFC 3464) and that somebody complained of one (RFC 5965).

They are polled from an IMAP mailbox and taken over HTTP; either way `actions.take` reads one and does what follows.
"""
