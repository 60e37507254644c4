"""Scripts of alerts: expressions in CEL over figures of a company, as `asr("10m") < 40 && attempts("10m") >= 50`.

Nothing else that runs is taken from anybody. What may be written is what `read` knows, a small part of CEL: numbers,
comparisons, sums, `&&`, `||`, `!`, `? :` and the functions of `reference`; no lists, no maps, no macros, no parts of
anything, no other names. So an expression has neither a loop nor a value that grows, and its time is bounded by its
length. The library gives it its meaning.

A figure that is undefined, as a ratio of no calls is, or stale, is an error to CEL, and so is dividing by nothing:
what depends on it comes to None, which is no data and neither triggers nor resets. `||` and `&&` come to what the
other side decides alone, whatever the order: `a || b` is true where a is and b is undefined.

Numbers are all of one kind, double to CEL: 40 and 40.0 are the same, and a quotient is not cut. They hold 15 digits.

Source: reliability-security, section 4 (alert expressions, alert scripts) and row I11.
"""

import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from portal.alerts.rules import SCRIPT_LENGTH
from portal.usage.readings import Reading, Subject
from portal.usage.rules import KEY, KEY_LENGTH, LARGEST, Measure, exact

if TYPE_CHECKING:
    from cel import Program

DEEPEST = 30
"""How many brackets, signs and divisions may stand inside each other. The library reads twice as many."""

LONGEST_WINDOW = 24 * 60
"""Minutes."""

HOLDS, HOLDS_NOT = Decimal(1), Decimal(0)
"""The value of the reading of a script."""

# What may be asked


@dataclass(frozen=True)
class Function:
    """A function of scripts: what it says in a sentence, and in which unit.

    `argument` is an example of what stands in its brackets, empty where nothing does.
    """

    name: str
    measure: Measure
    argument: str
    unit: str
    sentence: str

    @property
    def signature(self) -> str:
        """How it is called."""
        return f'{self.name}("{self.argument}")' if self.argument else f"{self.name}()"

    @property
    def takes_window(self) -> bool:
        return self.measure.is_windowed


_WINDOW = "10m"
_FUNCTIONS = (
    Function(
        "asr", Measure.ASR, _WINDOW, "%", "Answered calls of all attempts in the window. Without attempts undefined."
    ),
    Function(
        "ner",
        Measure.NER,
        _WINDOW,
        "%",
        "Attempts that reached their end (answered, busy, not answered or rejected there) of all in the window."
        " Without attempts undefined.",
    ),
    Function(
        "acd",
        Measure.ACD,
        _WINDOW,
        "seconds",
        "Mean time talked of the answered calls that ended in the window. Without such calls undefined.",
    ),
    Function(
        "pdd",
        Measure.PDD,
        _WINDOW,
        "milliseconds",
        "Mean time from the request to the first ringing, of the calls in the window that rang."
        " Without such calls undefined.",
    ),
    Function(
        "cps",
        Measure.CPS,
        _WINDOW,
        "calls a second",
        "The most attempts that came within one second of the window. Without calls 0.",
    ),
    Function("attempts", Measure.ATTEMPTS, _WINDOW, "calls", "Call attempts in the window. Without calls 0."),
    Function("answered", Measure.ANSWERED, _WINDOW, "calls", "Attempts in the window that were answered, 0 if none."),
    Function("channels", Measure.CHANNELS, "", "calls", "Calls in progress now, those being set up included."),
    Function("balance", Measure.BALANCE, "", "money", "Money on the account, in its currency."),
    Function("credit", Measure.CREDIT, "", "money", "Available credit: the balance and the debit limit."),
    Function(
        "metric",
        Measure.CUSTOM,
        "queue-length",
        "its own",
        "The latest value of a metric of the company, by its key. Undefined where the company has none of that key.",
    ),
)
_BY_NAME = {each.name: each for each in _FUNCTIONS}


class Sign(NamedTuple):
    """Something else that may stand in a script."""

    text: str
    sentence: str


_SIGNS = (
    Sign("< <= > >=", "Compare two numbers."),
    Sign("== !=", "Equal as shown on the screen, and not."),
    Sign("&&", "Both hold."),
    Sign("||", "One of them holds, or both."),
    Sign("!", "It does not hold."),
    Sign("+ - * /", "Reckon with numbers. Dividing by 0 is undefined."),
    Sign("a ? b : c", "b where a holds, else c."),
    Sign("( )", "What is inside comes first."),
)

WINDOWS = ("1m", "5m", "10m", "30m", "1h", "6h", "24h")
"""Windows that are offered; any whole number of minutes or hours from 1m to 24h may be written."""


class Reference(NamedTuple):
    """All that may stand in a script."""

    functions: tuple[Function, ...]
    signs: tuple[Sign, ...]
    windows: tuple[str, ...]


def reference() -> Reference:
    """What a person who writes a script may look up, and a form may complete."""
    return Reference(_FUNCTIONS, _SIGNS, WINDOWS)


# What is written


class ScriptError(ValueError):
    """Why a script is not taken: a sentence, and at which character, counted from 1, where one can be named."""

    def __init__(self, sentence: str, at: int | None = None) -> None:
        super().__init__(sentence if at is None else f"At character {at}: {sentence}")
        self.sentence = str(self)
        self.at = at


class Need(NamedTuple):
    """A figure a script asks for: `window` in seconds where it is of a stretch of time, `key` where it is a metric."""

    measure: Measure
    window: int = 0
    key: str = ""


@dataclass(frozen=True)
class Script:
    """A script that was read: the figures it needs, and it in CEL, each of them as f0, f1, … in their order.

    It is a condition that holds or not, or a number that is held against a threshold.
    """

    text: str
    needs: tuple[Need, ...]
    is_condition: bool
    source: str

    @property
    def keys(self) -> set[str]:
        """The keys of the metrics it names."""
        return {each.key for each in self.needs if each.key}


class _Word(NamedTuple):
    kind: str
    text: str
    at: int


class _Piece(NamedTuple):
    """Part of an expression in CEL: a condition or a number, and how deep it is."""

    source: str
    is_condition: bool
    depth: int
    at: int


_WORDS = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>\d+(?:\.\d+)?(?![\w.]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<text>"[^"\r\n]*"|'[^'\r\n]*')
    |(?P<sign>&&|\|\||[=!<>]=|[<>!()+\-*/?:,])""",
    re.VERBOSE | re.ASCII,
)
_SPAN = re.compile(r"([1-9]\d{0,3})([mh])", re.ASCII)
_PLAIN = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_COMPARED = frozenset({"<", "<=", ">", ">=", "==", "!="})
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter", "has"})
_REFUSED = {
    "[": "Lists are not possible here.",
    "]": "Lists are not possible here.",
    "{": "Maps are not possible here.",
    "}": "Maps are not possible here.",
    ".": "A full stop stands only inside a number here, such as 0.5.",
    "=": "Equal is written ==.",
    "&": "And is written &&.",
    "|": "Or is written ||.",
    "%": "There is no % here: a ratio is a number such as 40.",
    '"': "This text is not closed.",
    "'": "This text is not closed.",
}
PLAIN_NUMBER = "Write the number plainly, such as 40 or 0.5, with at most 12 digits before the point and 6 behind it."
NO_WINDOW = 'Write a window from "1m" to "24h", in whole minutes or hours, such as "10m".'
TOO_DEEP = f"This nests more than {DEEPEST} deep."


def check(text: str, keys: Collection[str] | None = None, *, has_threshold: bool = False) -> Script:
    """The script that was written, or ScriptError with the sentence that says what is wrong with it.

    With `keys`, those of the metrics there are, it names no other. It is a number only where there is a threshold.
    """
    found = read(text)
    if not found.is_condition and not has_threshold:
        raise ScriptError("This is a number. Compare it with another one, as in … < 40, or write a threshold.")
    if keys is not None and (unknown := sorted(found.keys - set(keys))):
        raise ScriptError(f"There is no metric with the key {unknown[0]}.", text.find(unknown[0]) + 1)
    return found


@lru_cache(maxsize=1024)
def read(text: str) -> Script:
    """The script that was written; ScriptError if it is none."""
    if len(text) > SCRIPT_LENGTH:
        raise ScriptError(f"A script has at most {SCRIPT_LENGTH} characters, and this has {len(text)}.")
    reader = _Reader(_words(text))
    whole = reader.whole()
    if not reader.needs:
        raise ScriptError('This looks at no figure. Ask for one, such as asr("10m").')
    return Script(text, tuple(reader.needs), whole.is_condition, whole.source)


def kept(text: str) -> Script:
    """A script as it was saved. One that cannot be read any more, as less may be written than then, is stale for ever:
    no data, of which staff are told, and no fault of those beside it."""
    try:
        return read(text)
    except ScriptError:
        return Script(text, (), True, "")


def _words(text: str) -> list[_Word]:
    words, position = [], 0
    while position < len(text):
        found = _WORDS.match(text, position)
        if not found:
            raise ScriptError(_refusal(text, position), position + 1)
        if found.lastgroup and found.lastgroup != "space":
            words.append(_Word(found.lastgroup, found.group(), position + 1))
        position = found.end()
    return [*words, _Word("end", "", len(text) + 1)]


def _refusal(text: str, position: int) -> str:
    """Why what stands here cannot begin anything."""
    sign = text[position]
    if sign.isdecimal():
        return PLAIN_NUMBER
    return _REFUSED.get(sign, f"There is no {sign} here." if sign.isprintable() else "There is a sign nobody can see.")


class _Reader:
    """Reads words by the grammar of CEL, as much of it as is allowed, and writes it in CEL again."""

    def __init__(self, words: list[_Word]) -> None:
        self.words = words
        self.place = 0
        self.open = 0
        self.needs: dict[Need, str] = {}

    @property
    def next(self) -> _Word:
        return self.words[self.place]

    def take(self, *texts: str) -> _Word | None:
        """The next word if it is one of these signs; it is read then."""
        word = self.next
        if word.kind != "sign" or word.text not in texts:
            return None
        self.place += 1
        return word

    def expect(self, text: str, sentence: str) -> _Word:
        return self.take(text) or self.refuse(sentence)

    def refuse(self, sentence: str) -> _Word:
        raise ScriptError(sentence, self.next.at)

    def whole(self) -> _Piece:
        if self.next.kind == "end":
            raise ScriptError('Write a condition, such as asr("10m") < 40.')
        found = self.choice()
        if self.next.kind != "end":
            self.refuse(f"Here the script ends, or goes on with && or ||; it cannot go on with {self.next.text}.")
        return found

    def choice(self) -> _Piece:
        first = self.chain(("||",), self.all_of)
        if not self.take("?"):
            return first
        with _Deeper(self):
            yes = self.chain(("||",), self.all_of)
            self.expect(":", "Here belongs a colon: a ? b : c.")
            no = self.choice()
        _must_be(first, True)
        _must_be(no, yes.is_condition)
        source = f"({first.source} ? {yes.source} : {no.source})"
        return _deeper(_Piece(source, yes.is_condition, max(first.depth, yes.depth, no.depth), first.at))

    def all_of(self) -> _Piece:
        return self.chain(("&&",), self.comparison)

    def chain(self, signs: tuple[str, ...], part: Callable[[], _Piece]) -> _Piece:
        """Conditions with one of these signs between them, or one alone."""
        found = [part()]
        while self.take(*signs):
            found.append(part())
        if len(found) == 1:
            return found[0]
        for each in found:
            _must_be(each, True)
        source = f" {signs[0]} ".join(each.source for each in found)
        return _Piece(source, True, max(each.depth for each in found), found[0].at)

    def comparison(self) -> _Piece:
        left = self.sum()
        sign = self.take(*_COMPARED)
        if not sign:
            return left
        right = self.sum()
        if self.next.text in _COMPARED:
            self.refuse("Compare two at a time, and join them by &&.")
        _must_be(left, left.is_condition and sign.text in {"==", "!="})
        _must_be(right, left.is_condition)
        return _Piece(f"{left.source} {sign.text} {right.source}", True, max(left.depth, right.depth), left.at)

    def sum(self) -> _Piece:
        return self.reckoned(("+", "-"), self.product)

    def product(self) -> _Piece:
        return self.reckoned(("*", "/"), self.signed)

    def reckoned(self, signs: tuple[str, ...], part: Callable[[], _Piece]) -> _Piece:
        found = part()
        while sign := self.take(*signs):
            other = part()
            _must_be(found, False)
            _must_be(other, False)
            depth = max(found.depth, other.depth)
            if sign.text == "/":
                found = _deeper(_Piece(f"divided({found.source}, {other.source})", False, depth, found.at))
            else:
                found = _Piece(f"{found.source} {sign.text} {other.source}", False, depth, found.at)
        return found

    def signed(self) -> _Piece:
        sign = self.take("!", "-")
        if not sign:
            return self.value()
        with _Deeper(self):
            found = self.signed()
        _must_be(found, sign.text == "!")
        return _deeper(_Piece(f"{sign.text}({found.source})", found.is_condition, found.depth, sign.at))

    def value(self) -> _Piece:
        word = self.next
        if self.take("("):
            with _Deeper(self):
                found = self.choice()
            self.expect(")", "Here a bracket is not closed.")
            return _deeper(_Piece(f"({found.source})", found.is_condition, found.depth, word.at))
        if word.kind == "number":
            return self.number()
        if word.kind == "name":
            return self.name()
        what = f"there is {word.text}" if word.text else "the script ends"
        self.refuse(f"Here belongs a figure, a number or a bracket, and {what}.")
        raise AssertionError

    def number(self) -> _Piece:
        word = self.next
        if not _PLAIN.fullmatch(word.text):
            self.refuse(PLAIN_NUMBER)
        self.place += 1
        return _Piece(word.text if "." in word.text else f"{word.text}.0", False, 0, word.at)

    def name(self) -> _Piece:
        word = self.next
        if word.text in {"true", "false"}:
            self.place += 1
            return _Piece(word.text, True, 0, word.at)
        function = _BY_NAME.get(word.text)
        if not function:
            raise ScriptError(_unknown(word.text), word.at)
        self.place += 1
        usage = f"{function.name} is written {function.signature}."
        self.expect("(", usage)
        need = Need(function.measure)
        if function.argument:
            need = self.argument(function, usage)
        self.expect(")", usage)
        return _Piece(self.needs.setdefault(need, f"f{len(self.needs)}"), False, 0, word.at)

    def argument(self, function: Function, usage: str) -> Need:
        word = self.next
        if word.kind != "text":
            self.refuse(usage)
        written = word.text[1:-1]
        if function.takes_window:
            need = Need(function.measure, window_of(written) or 0)
            if not need.window:
                self.refuse(NO_WINDOW)
        else:
            need = Need(function.measure, key=written)
            if len(written) > KEY_LENGTH or not KEY.fullmatch(written):
                self.refuse("This is no key of a metric: small letters, digits, dots, dashes and underscores.")
        self.place += 1
        return need


class _Deeper:
    """While what is inside something is read: refused before Python's own stack is anywhere near its end."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader

    def __enter__(self) -> None:
        self.reader.open += 1
        if self.reader.open > DEEPEST:
            self.reader.refuse(TOO_DEEP)

    def __exit__(self, *_error: object) -> None:
        self.reader.open -= 1


def _deeper(piece: _Piece) -> _Piece:
    if piece.depth >= DEEPEST:
        raise ScriptError(TOO_DEEP, piece.at)
    return piece._replace(depth=piece.depth + 1)


def _must_be(piece: _Piece, is_condition: bool) -> None:
    if piece.is_condition is not is_condition:
        wanted, seen = ("a condition", "a number") if is_condition else ("a number", "a condition")
        raise ScriptError(f"Here belongs {wanted}, and this is {seen}.", piece.at)


def _unknown(name: str) -> str:
    if name in _MACROS:
        return f"There is no {name} here: nothing goes through lists."
    near = get_close_matches(name.lower(), _BY_NAME, 1)
    return f"There is no {name} here." + (f" Did you mean {_BY_NAME[near[0]].signature}?" if near else "")


def window_of(text: str) -> int | None:
    """The seconds of a window as it is written, "10m" or "2h"; None if it is none."""
    found = _SPAN.fullmatch(text)
    minutes = int(found[1]) * (60 if found[2] == "h" else 1) if found else 0
    return minutes * 60 if 1 <= minutes <= LONGEST_WINDOW else None


# What it comes to


def subjects(
    script: Script, company_id: int, service_id: int | None, trunk: str, metric_ids: Mapping[str, int]
) -> dict[Need, Subject]:
    """What has to be read of a company for a script. A metric that is not in `metric_ids` is left out: undefined."""
    found = {}
    for need in script.needs:
        if not need.key:
            found[need] = Subject(need.measure, company_id, service_id, trunk, window=need.window)
        elif need.key in metric_ids:
            found[need] = Subject(need.measure, company_id, metric_id=metric_ids[need.key])
    return found


def evaluate(script: Script, values: Mapping[Need, Decimal | None]) -> bool | Decimal | None:
    """Whether it holds, or the number it comes to; None where that hangs on a figure that is undefined or missing."""
    given: dict[str, object] = {"divided": _divided}
    for number, need in enumerate(script.needs):
        if (value := values.get(need)) is not None:
            given[f"f{number}"] = float(value)
    try:
        found = _program(script.source).execute(given)
    except (RuntimeError, TypeError, ValueError, ArithmeticError):
        return None
    if isinstance(found, float):
        # A number no figure can be, such as what overflowed, is none.
        return exact(found) if abs(found) <= LARGEST else None
    return found if isinstance(found, bool) else None


def reading(
    script: Script, wanted: Mapping[Need, Subject], readings: Mapping[Subject, Reading], now: datetime
) -> Reading:
    """What a script comes to as the reading an alert is judged by: its number, or 1 where it holds and 0 where not.

    A stale figure is as good as none; where nothing can be said because of one, the reading is stale itself.
    """
    found = {need: readings[subject] for need, subject in wanted.items() if subject in readings}
    said = evaluate(script, {need: None if each.is_stale else each.value for need, each in found.items()})
    return Reading(
        {True: HOLDS, False: HOLDS_NOT}[said] if isinstance(said, bool) else said,
        None,
        max((each.at for each in found.values()), default=now),
        said is None and (not script.needs or any(each.is_stale for each in found.values())),
        min((each.next_at for each in found.values() if each.next_at), default=None),
    )


@lru_cache(maxsize=1024)
def _program(source: str) -> "Program":
    """It, compiled. The library is loaded with the first script: it takes a third of a second."""
    import cel  # noqa: PLC0415

    # It writes each division by nothing into the log, which is no fault of ours.
    logging.getLogger("cel").setLevel(logging.CRITICAL)
    return cel.compile(source)


def _divided(one: float, other: float) -> float:
    if other == 0:
        raise ZeroDivisionError
    return one / other
