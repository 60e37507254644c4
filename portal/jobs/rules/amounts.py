"""Money of a quote, in whole numbers: minor units, thousandths of a quantity, hundredths of a percent. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

CURRENCIES = ("GBP", "EUR", "USD", "CHF", "AUD", "CAD", "CZK", "DKK", "NOK", "NZD", "PLN", "SEK")
"""Currencies (ISO 4217) quotes are written in: those with hundredths, which is what a minor unit is here."""

LINES_AT_MOST = 100
"""Lines of a quote: more is a price list."""

QUANTITY_AT_MOST = 1_000_000_000
"""A million of something, in thousandths."""

PRICE_AT_MOST = 10_000_000_000
"""A hundred million, in minor units: so that no total comes near what the databases hold."""

TAX_AT_MOST = 10_000
"""A hundred percent, in hundredths of one."""

_GROUPED = r"[0-9]{1,3}(?:,[0-9]{3})+"
_NUMBER = re.compile(rf"(?P<sign>[-−]?)\s?(?P<whole>{_GROUPED}|[0-9]+)?(?:[.](?P<part>[0-9]+))?", re.ASCII)
_COMMA = re.compile(r"(?P<sign>[-−]?)\s?(?P<whole>[0-9]+),(?P<part>[0-9]{1,2})", re.ASCII)


class Priced(Protocol):
    """A line of a quote, stored or typed."""

    @property
    def quantity_thousandths(self) -> int: ...
    @property
    def unit_price_minor(self) -> int: ...
    @property
    def tax_hundredths(self) -> int: ...


@dataclass(frozen=True)
class LineGiven:
    """A line as it is to be: `quantity_thousandths` 1500 is one and a half, `tax_hundredths` 2000 is 20 %.

    A price below zero is a reduction.
    """

    description: str
    quantity_thousandths: int = 1000
    unit_price_minor: int = 0
    tax_hundredths: int = 0


@dataclass(frozen=True)
class TaxPart:
    """What the lines of one tax rate come to: `net` and the `tax` on it, in minor units."""

    tax_hundredths: int
    net: int
    tax: int


@dataclass(frozen=True)
class Totals:
    """What a quote comes to, in minor units. `taxes` has a part for each rate above nothing, the highest first."""

    net: int
    taxes: tuple[TaxPart, ...]

    @property
    def tax(self) -> int:
        return sum(part.tax for part in self.taxes)

    @property
    def gross(self) -> int:
        return self.net + self.tax


def line_net(line: Priced) -> int:
    """What one line comes to before tax, in minor units, rounded half away from nothing."""
    return _divided(line.quantity_thousandths * line.unit_price_minor, 1000)


def totals(lines: Iterable[Priced]) -> Totals:
    """What lines come to: each rounded, the tax reckoned once for all lines of a rate, so that a receipt adds up."""
    nets: dict[int, int] = {}
    for line in lines:
        nets[line.tax_hundredths] = nets.get(line.tax_hundredths, 0) + line_net(line)
    taxes = tuple(TaxPart(rate, net, _divided(net * rate, 10_000)) for rate, net in sorted(nets.items(), reverse=True))
    return Totals(sum(nets.values()), tuple(part for part in taxes if part.tax_hundredths))


def read_number(text: str, places: int) -> int | None:
    """A number as people type it, times ten to the power of `places`; None for what is none or has more places.

    A comma parts thousands; before one or two last digits it is a decimal comma, as in 12,50.
    """
    typed = text.strip().rstrip("%").strip()
    found = _COMMA.fullmatch(typed) or _NUMBER.fullmatch(typed)
    if found is None:
        return None
    whole, part = found["whole"], (found["part"] or "").rstrip("0")
    if (whole is None and not found["part"]) or len(part) > places or len(typed) > 20:
        return None
    value: int = int((whole or "0").replace(",", "")) * int(10**places) + int(part.ljust(places, "0") or "0")
    return -value if found["sign"] else value


def written(value: int, places: int, least: int = 0) -> str:
    """A number kept times ten to the power of `places`, as `read_number` reads it: at least `least` decimals."""
    whole, part = divmod(abs(value), 10**places)
    decimals = str(part).rjust(places, "0").rstrip("0").ljust(least, "0") if places else ""
    return f"{'-' if value < 0 else ''}{whole:,}{'.' if decimals else ''}{decimals}"


def money(minor: int, currency: str) -> str:
    """An amount with its currency, such as “GBP 1,234.50”: for staff, and wherever no language is known."""
    return f"{currency} {written(minor, 2, 2)}"


def _divided(value: int, by: int) -> int:
    """The quotient, rounded half away from nothing."""
    quotient = (2 * abs(value) + by) // (2 * by)
    return -quotient if value < 0 else quotient
