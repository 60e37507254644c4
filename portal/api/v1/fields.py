"""What stands in a request or an answer: each kind of value, read strictly, and how the document describes it."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, validate

from portal.localtime import EARLIEST, LATEST

LARGEST_ID = 2**31 - 1

MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)


class Whole(validate.Regexp):
    """A pattern for the whole text, written as JSON Schema writes it, whose `$` is the end and not the last line."""

    def __call__(self, value: Any) -> Any:
        if str(value).endswith("\n"):
            raise ValidationError(self._format_error(value))
        return super().__call__(value)


class Text(fields.String):
    """Text without NUL and lone surrogates, which no database stores and no keyboard types."""

    def __init__(self, *, least: int = 0, most: int = 20_000, **rest: Any) -> None:
        super().__init__(validate=validate.Length(least, most), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> str:
        text = super()._deserialize(value, attr, data, **rest)
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ValidationError("Text cannot hold NUL or half a character.")
        return text


class Number(fields.Integer):
    """A whole number, written as one: no text, no true, no 1.0."""

    def __init__(self, *, least: int | None = None, most: int | None = None, **rest: Any) -> None:
        bounds = [] if least is None and most is None else [validate.Range(least, most)]
        super().__init__(strict=True, validate=bounds, **rest)

    def _validated(self, value: Any) -> int:
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        return value


class Id(Number):
    """The number of a row."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(least=1, most=LARGEST_ID, **rest)


class InAddress(fields.Integer):
    """A whole number in an address, in plain digits."""

    def __init__(self, *, least: int = 1, most: int = LARGEST_ID, **rest: Any) -> None:
        super().__init__(validate=validate.Range(least, most), **rest)

    def _validated(self, value: Any) -> int:
        if not isinstance(value, str) or not NUMBER.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


class Switch(fields.Boolean):
    """true or false, and nothing that only looks like one."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class SwitchInAddress(fields.Boolean):
    """The word true or the word false in an address."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> bool:
        if value not in {"true", "false"}:
            raise self.make_error("invalid", input=value)
        return bool(value == "true")


class Moment(fields.DateTime):
    """A moment: RFC 3339 with a zone coming in, UTC with a Z going out.

    At the ends of the calendar no zone can be reckoned with: a page that shows such a moment by the clock of a portal
    could not be made.
    """

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **rest: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> datetime:
        sentence = "Write a moment like 2026-11-21T12:00:00Z."
        if not isinstance(value, str) or not MOMENT.fullmatch(value):
            raise ValidationError(sentence)
        try:
            found = datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(sentence) from None
        if not EARLIEST <= found.year <= LATEST:
            raise ValidationError(f"Write a moment of our time: from the year {EARLIEST} to {LATEST}.")
        return found


class Percent(fields.Float):
    """A share in percent, to the thousandth; inside it is a whole number of thousandths."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(validate=validate.Range(0, 100), **rest)

    def _validated(self, value: Any) -> float:
        if type(value) not in {int, float}:
            raise self.make_error("invalid", input=value)
        return float(value)


class Day(fields.Date):
    """A day, written as RFC 3339 writes one."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> date:
        sentence = "Write a day like 2026-11-30."
        if not isinstance(value, str) or not DAY.fullmatch(value):
            raise ValidationError(sentence)
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValidationError(sentence) from None


class Word(fields.String):
    """One of the words of an enumeration."""

    def __init__(self, kind: type[StrEnum], *, allow_none: bool = False, only: Any = None, **rest: Any) -> None:
        self.kind = kind
        words = [member.value for member in (only or kind)]
        super().__init__(validate=validate.OneOf(words), allow_none=allow_none, **rest)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **rest: Any) -> str | None:
        return None if value is None else str(value.value if isinstance(value, StrEnum) else value)

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **rest: Any) -> Any:
        word = super().deserialize(value, attr, data, **rest)
        return self.kind(word) if isinstance(word, str) else word


def ids(**rest: Any) -> fields.List[Any]:
    """A list of ids, at most a thousand of them."""
    return fields.List(Id(), validate=validate.Length(max=1000), **rest)
