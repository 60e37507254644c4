"""How customers reach a human: the channels a portal domain names."""

from typing import NamedTuple


class Channels(NamedTuple):
    """The support channels of a portal domain; None where there is none. `help_url` is a page of theirs."""

    email: str | None
    phone: str | None
    hours: str | None
    help_url: str | None

    @property
    def phone_link(self) -> str:
        """The number as a `tel:` link takes it: digits and a leading plus."""
        number = "".join(each for each in self.phone or "" if each in "+0123456789")
        return number[:1] + number[1:].replace("+", "")

    @property
    def help_host(self) -> str:
        """The help page as it is named in a line: its host."""
        return (self.help_url or "").partition("://")[2].partition("/")[0].removeprefix("www.")

    def in_words(self) -> str:
        """All there are, as one line for mails and lists; empty without any."""
        phone = f"{self.phone} ({self.hours})" if self.phone and self.hours else self.phone or self.hours
        return " · ".join(each for each in (self.email, phone, self.help_url) if each)
