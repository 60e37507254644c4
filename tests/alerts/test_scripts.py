"""Scripts of alerts: what may be written, what it comes to, and that nothing else runs (rows I11, and scripts)."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portal.alerts import scripts
from portal.alerts.scripts import Need, ScriptError, check, evaluate, read, reference, subjects, window_of
from portal.usage.readings import Reading, Subject
from portal.usage.rules import Measure

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ASR = Need(Measure.ASR, 600)


def refusal(text: str) -> str:
    with pytest.raises(ScriptError) as found:
        read(text)
    return found.value.sentence


def test_the_example_of_the_reference() -> None:
    found = read('asr("10m") < 40 && attempts("10m") >= 50')
    assert found.needs == (ASR, Need(Measure.ATTEMPTS, 600))
    few, many = ({ASR: Decimal("39.99"), found.needs[1]: Decimal(calls)} for calls in (49, 50))
    assert (evaluate(found, few), evaluate(found, many)) == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        "().__class__.__bases__[0].__subclasses__()",
        "__import__('os').system('id')",
        "[x for x in (1).__class__.__mro__]",
        "value.gi_frame",
        "print.__reduce__()",
    ],
)
def test_code_is_refused_where_it_begins_to_be_code(text: str) -> None:
    assert refusal(text).startswith("At character ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'Write a condition, such as asr("10m") < 40.'),
        (" \n", 'Write a condition, such as asr("10m") < 40.'),
        ("1 < 2", 'This looks at no figure. Ask for one, such as asr("10m").'),
        ('[asr("1m")].all(x, x < 3)', "At character 1: Lists are not possible here."),
        ('{"a": asr("1m")} == {}', "At character 1: Maps are not possible here."),
        ('exists(asr("1m"))', "At character 1: There is no exists here: nothing goes through lists."),
        ('exists_one(asr("1m"))', "At character 1: There is no exists_one here: nothing goes through lists."),
        ('all(asr("1m"), x, x)', "At character 1: There is no all here: nothing goes through lists."),
        ("map(x, x)", "At character 1: There is no map here: nothing goes through lists."),
        ("filter(x, x)", "At character 1: There is no filter here: nothing goes through lists."),
        ("has(balance)", "At character 1: There is no has here: nothing goes through lists."),
        ('asrr("1m") < 4', 'At character 1: There is no asrr here. Did you mean asr("10m")?'),
        ('ACD("1m") < 4', 'At character 1: There is no ACD here. Did you mean acd("10m")?'),
        ("xyzzy < 4", "At character 1: There is no xyzzy here."),
        ("asr < 4", 'At character 5: asr is written asr("10m").'),
        ("asr() < 4", 'At character 5: asr is written asr("10m").'),
        ('asr("1m", 2) < 4', 'At character 9: asr is written asr("10m").'),
        ("asr(balance()) < 4", 'At character 5: asr is written asr("10m").'),
        ('balance("1m") < 4', "At character 9: balance is written balance()."),
        ('"asr" < 4', 'At character 1: Here belongs a figure, a number or a bracket, and there is "asr".'),
        ('asr("0m") < 4', f"At character 5: {scripts.NO_WINDOW}"),
        ('asr("10") < 4', f"At character 5: {scripts.NO_WINDOW}"),
        ('asr("25h") < 4', f"At character 5: {scripts.NO_WINDOW}"),
        ('asr("1441m") < 4', f"At character 5: {scripts.NO_WINDOW}"),
        ('asr("١0m") < 4', f"At character 5: {scripts.NO_WINDOW}"),
        (
            'metric("a b") < 4',
            "At character 8: This is no key of a metric: small letters, digits, dots, dashes and underscores.",
        ),
        (
            f'metric("{"a" * 61}") < 4',
            "At character 8: This is no key of a metric: small letters, digits, dots, dashes and underscores.",
        ),
        ('asr("10m" < 4', 'At character 11: asr is written asr("10m").'),
        ('asr("10m) < 4', "At character 5: This text is not closed."),
        ('(asr("10m") < 4', "At character 16: Here a bracket is not closed."),
        ('asr("10m") < 4)', "At character 15: Here the script ends, or goes on with && or ||; it cannot go on with )."),
        ('asr("10m") = 4', "At character 12: Equal is written ==."),
        ('asr("1m") < 4 & asr("1m") > 3', "At character 15: And is written &&."),
        ('asr("1m") < 4 | asr("1m") > 3', "At character 15: Or is written ||."),
        ('asr("1m") % 4 < 3', "At character 11: There is no % here: a ratio is a number such as 40."),
        ('3 < asr("10m") < 40', "At character 16: Compare two at a time, and join them by &&."),
        ('asr("10m") && true', "At character 1: Here belongs a condition, and this is a number."),
        ('balance() < 4 || acd("1m")', "At character 18: Here belongs a condition, and this is a number."),
        ('!asr("10m")', "At character 2: Here belongs a condition, and this is a number."),
        ('-(asr("10m") < 4) < 3', "At character 2: Here belongs a number, and this is a condition."),
        ("balance() + true < 3", "At character 13: Here belongs a number, and this is a condition."),
        ("balance() == true", "At character 14: Here belongs a number, and this is a condition."),
        ("(balance() < 3) < (balance() < 4)", "At character 1: Here belongs a number, and this is a condition."),
        ("balance() ? true : false", "At character 1: Here belongs a condition, and this is a number."),
        ("balance() < 3 ? 1 : true", "At character 21: Here belongs a number, and this is a condition."),
        ("balance() < 3 ? true", "At character 21: Here belongs a colon: a ? b : c."),
        ("balance() < 1e3", f"At character 13: {scripts.PLAIN_NUMBER}"),
        ("balance() < 0x10", f"At character 13: {scripts.PLAIN_NUMBER}"),
        ("balance() < 4u", f"At character 13: {scripts.PLAIN_NUMBER}"),
        ("balance() < 1234567890123", f"At character 13: {scripts.PLAIN_NUMBER}"),
        ("balance() < 0.1234567", f"At character 13: {scripts.PLAIN_NUMBER}"),
        ("balance() < 1.2.3", f"At character 13: {scripts.PLAIN_NUMBER}"),
        ("balance() < .5", "At character 13: A full stop stands only inside a number here, such as 0.5."),
        (
            "balance() < 4 // and so on",
            "At character 16: Here belongs a figure, a number or a bracket, and there is /.",
        ),
        ("balance() < 4 &&", "At character 17: Here belongs a figure, a number or a bracket, and the script ends."),
        ("balance() < 4; balance()", "At character 14: There is no ; here."),
        ("balance()\u200b < 4", "At character 10: There is a sign nobody can see."),
        ("balance()\x00 < 4", "At character 10: There is a sign nobody can see."),
    ],
)
def test_every_refusal_is_a_sentence(text: str, sentence: str) -> None:
    assert refusal(text) == sentence


def test_a_script_has_at_most_500_characters() -> None:
    text = "balance() < 40".ljust(500)
    assert read(text)
    assert refusal(text + " ") == "A script has at most 500 characters, and this has 501."


def test_a_number_needs_a_threshold() -> None:
    with pytest.raises(ScriptError) as found:
        check('answered("10m") / attempts("10m")')
    assert found.value.sentence == "This is a number. Compare it with another one, as in … < 40, or write a threshold."
    assert not check('answered("10m") / attempts("10m")', has_threshold=True).is_condition
    assert check('asr("10m") < 40').is_condition


def test_metrics_there_are_not_are_refused_by_name() -> None:
    text = 'metric("queue") > 3 && metric("other") > 4'
    assert check(text, {"queue", "other"}).keys == {"queue", "other"}
    with pytest.raises(ScriptError) as found:
        check(text, {"queue"})
    assert found.value.sentence == "At character 32: There is no metric with the key other."


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m", 60), ("60m", 3600), ("1440m", 86_400), ("24h", 86_400), ("1h", 3600)]
    + [(text, None) for text in ("", "m", "0h", "01m", "1 m", "1M", "1441m", "25h", "1d", "-1m", "1.5h", "99999m")],
)
def test_windows(text: str, seconds: int | None) -> None:
    assert window_of(text) == seconds


# What it comes to

A, B = Need(Measure.ASR, 60), Need(Measure.ACD, 60)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('asr("1m") < 5', None),
        ('!(asr("1m") < 5)', None),
        ('asr("1m") == asr("1m")', None),
        ('asr("1m") != 5', None),
        ('asr("1m") < 5 || acd("1m") == 7', True),
        ('acd("1m") == 7 || asr("1m") < 5', True),
        ('asr("1m") < 5 || acd("1m") == 8', None),
        ('acd("1m") == 8 || asr("1m") < 5', None),
        ('asr("1m") < 5 && acd("1m") == 7', None),
        ('acd("1m") == 7 && asr("1m") < 5', None),
        ('asr("1m") < 5 && acd("1m") == 8', False),
        ('acd("1m") == 8 && asr("1m") < 5', False),
        ('asr("1m") < 5 ? true : true', None),
        ('acd("1m") == 7 ? true : asr("1m") < 5', True),
        ('acd("1m") == 8 ? true : asr("1m") < 5', None),
        ('asr("1m") * 0 == 0', None),
        ('acd("1m") / (acd("1m") - 7) > 1', None),
        ('acd("1m") / 0 > 1 || acd("1m") == 7', True),
        ('0 / (acd("1m") - 7) == 0', None),
    ],
)
def test_what_hangs_on_the_undefined_is_undefined_and_never_false(text: str, holds: bool | None) -> None:
    assert evaluate(read(text), {A: None, B: Decimal(7)}) is holds
    assert evaluate(read(text), {B: Decimal(7)}) is holds


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ('asr("1m") == 40', "40.00", True),
        ('asr("1m") == 40.0', "40", True),
        ('asr("1m") < 40', "39.99", True),
        ('asr("1m") <= 39.99', "39.99", True),
        ('asr("1m") == 0.1', "0.10", True),
        ('asr("1m") / 2 > 3.4', "7", True),
        ('3 / 2 * asr("1m") == 1.5', "1", True),
        ('2 * asr("1m") + 1 == 9', "4", True),
        ('10 - 4 - asr("1m") == 3', "3", True),
        ('8 / 4 / asr("1m") == 1', "2", True),
        ('2 + 3 * asr("1m") == 14', "4", True),
        ('-asr("1m") < -3', "4", True),
        ('- - asr("1m") == 4', "4", True),
        ('!!(asr("1m") == 4)', "4", True),
        ('true || asr("1m") < 3 && false', "4", True),
        ('(asr("1m") < 5) == true', "4", True),
        ('(asr("1m") < 3 ? 1 : asr("1m") < 5 ? 2 : 3) == 2', "4", True),
        ("asr('1m') > 999999999999.999999", "999999999999.999999", False),
        ('asr("1m")\n\t> 3\r\n', "4", True),
    ],
)
def test_numbers_are_of_one_kind_and_quotients_are_not_cut(text: str, value: str, holds: bool) -> None:
    found = read(text)
    assert evaluate(found, {found.needs[0]: Decimal(value)}) is holds


@pytest.mark.parametrize(
    ("text", "value", "wanted"),
    [
        ('asr("1m") / 3', "10", "3.333333"),
        ('asr("1m") / 3', "0", "0"),
        ('-asr("1m")', "12.34", "-12.34"),
        ('asr("1m") < 3 ? 1 : 2', "4", "2"),
        ('asr("1m") / 0', "4", None),
        ('asr("1m") * 2', "999999999999.999999", None),
        ('asr("1m") * 999999999999' + " * 999999999999" * 26, "9", None),
    ],
)
def test_a_number_is_exact_to_the_millionth_or_none(text: str, value: str, wanted: str | None) -> None:
    found = read(text)
    assert evaluate(found, {found.needs[0]: Decimal(value)}) == (None if wanted is None else Decimal(wanted))


class Model(NamedTuple):
    """A text, and what it comes to by figures, worked out the slow and obvious way."""

    text: str
    of: Callable[[dict[str, Decimal | None]], float | bool | None]
    depth: int


_FIGURES = {
    'asr("5m")': Need(Measure.ASR, 300),
    'pdd("1h")': Need(Measure.PDD, 3600),
    "balance()": Need(Measure.BALANCE),
    'metric("a.b-c_d")': Need(Measure.CUSTOM, key="a.b-c_d"),
}


def _figure(text: str) -> Model:
    def of(values: dict[str, Decimal | None]) -> float | None:
        value = values[text]
        return None if value is None else float(value)

    return Model(text, of, 0)


def _divided(one: float, other: float) -> float | None:
    return None if other == 0 else one / other


_RECKONED: dict[str, Callable[[float, float], float | None]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": _divided,
}
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
}


def _two(
    signs: dict[str, Callable[[float, float], float | bool | None]],
) -> Callable[[tuple[Model, str, Model]], Model]:
    def made(parts: tuple[Model, str, Model]) -> Model:
        left, sign, right = parts

        def of(values: dict[str, Decimal | None]) -> float | bool | None:
            one, other = left.of(values), right.of(values)
            return None if one is None or other is None else signs[sign](one, other)

        return Model(f"({left.text}) {sign} ({right.text})", of, max(left.depth, right.depth) + 2)

    return made


def _joined(parts: tuple[Model, bool, Model]) -> Model:
    left, decides, right = parts

    def of(values: dict[str, Decimal | None]) -> bool | None:
        sides = [left.of(values), right.of(values)]
        if any(side is decides for side in sides):
            return decides
        return None if None in sides else not decides

    return Model(f"({left.text}) {'||' if decides else '&&'} ({right.text})", of, max(left.depth, right.depth) + 1)


def _chosen(parts: tuple[Model, Model, Model]) -> Model:
    which, yes, no = parts

    def of(values: dict[str, Decimal | None]) -> float | bool | None:
        found = which.of(values)
        return None if found is None else (yes if found else no).of(values)

    text = f"({which.text}) ? ({yes.text}) : ({no.text})"
    return Model(text, of, max(part.depth for part in parts) + 2)


def _turned(part: Model) -> Model:
    def of(values: dict[str, Decimal | None]) -> bool | None:
        found = part.of(values)
        return None if found is None else not found

    return Model(f"!({part.text})", of, part.depth + 2)


_NUMBERS = st.recursive(
    st.sampled_from([_figure(text) for text in _FIGURES])
    | st.integers(0, 99).map(lambda number: Model(str(number), lambda _values: float(number), 0)),
    lambda inner: st.tuples(inner, st.sampled_from(list(_RECKONED)), inner).map(_two({**_RECKONED})),
    max_leaves=4,
)
_CONDITIONS = st.recursive(
    st.tuples(_NUMBERS, st.sampled_from(list(_COMPARED)), _NUMBERS).map(_two({**_COMPARED})),
    lambda inner: st.one_of(
        st.tuples(inner, st.booleans(), inner).map(_joined),
        st.tuples(inner, inner, inner).map(_chosen),
        inner.map(_turned),
    ),
    max_leaves=5,
)
_VALUES = st.fixed_dictionaries(
    {text: st.none() | st.integers(-9, 9).map(Decimal) | st.decimals(-99, 99, places=2) for text in _FIGURES}
)


@given(_CONDITIONS, _VALUES)
def test_a_script_means_what_logic_of_three_values_says(model: Model, values: dict[str, Decimal | None]) -> None:
    assume(len(model.text) <= 500 and model.depth <= scripts.DEEPEST and any(text in model.text for text in _FIGURES))
    wanted = model.of(values)
    assert evaluate(read(model.text), {_FIGURES[text]: value for text, value in values.items()}) is wanted


_SIGNS = tuple("()<>!+-*/?:,.[]{}%=&|'\"")
_OTHERS = (
    "&&",
    "||",
    "==",
    "40",
    "0.5",
    "true",
    "null",
    "x",
    ".all(x, x)",
    '"1m"',
    " ",
    "\n",
    "1u",
    "r'a'",
    "//",
    "in",
)
_BITS = st.sampled_from([*_FIGURES, *(each.name for each in reference().functions), *_SIGNS, *_OTHERS])


@given(st.text(max_size=520) | st.lists(_BITS, max_size=40).map(" ".join) | st.lists(_BITS, max_size=40).map("".join))
def test_whatever_is_written_is_a_condition_or_refused(text: str) -> None:
    found = _read(text)
    if isinstance(found, ScriptError):
        assert found.sentence[-1] in ".?"
        assert found.at is None or 1 <= found.at <= len(text) + 1
    else:
        for values in ({need: Decimal(1) for need in found.needs}, {}):
            said = evaluate(found, values)
            assert said is None or isinstance(said, bool) is found.is_condition


def _read(text: str) -> scripts.Script | ScriptError:
    try:
        return read(text)
    except ScriptError as error:
        return error


_LONG = (
    "balance() < 1" + "+1" * 243,
    "balance() < 1" + "*9" * 243,
    "balance()<1" + "||balance()<1" * 37,
    "balance()<1" + "&&balance()<1" * 37,
    "!" * 30 + "true==(balance()<1)",
    "balance() < " + "-" * 30 + "1",
    "(" * 30 + "balance() < 1" + ")" * 30,
    "!(" * 15 + "balance() < 1" + ")" * 15,
    "balance() < " + "1/(" * 15 + "1" + ")" * 15,
    "balance() < 1" + "/1" * 30,
    "balance()<1?" + "true:balance()<1?" * 13 + "true:true",
    "&&".join(f'cps("{minute}m")<9' for minute in range(10, 42)),
)


@pytest.mark.parametrize("text", _LONG, ids=lambda text: text[:20])
def test_the_longest_and_deepest_take_a_moment_at_most(text: str) -> None:
    """Also in a thread with a small stack: what is too deep for a library ends a whole process."""
    assert len(text) <= 500
    spent: list[float] = []

    def run() -> None:
        read.cache_clear()
        began = time.thread_time()
        found = read(text)
        for value in (None, Decimal(1)):
            assert evaluate(found, dict.fromkeys(found.needs, value)) in {True, False, None}
        spent.append(time.thread_time() - began)

    run()
    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(spent) == 2
    assert min(spent) < 0.05


@pytest.mark.parametrize(
    "text",
    [
        "(" * 31 + "balance() < 1" + ")" * 31,
        "!" * 480 + "true",
        "balance() < " + "-" * 480 + "1",
        "(" * 500,
        "balance() < 1" + "/1" * 31,
        "balance() < " + "1/(" * 16 + "1" + ")" * 16,
        "true?true:" * 49 + "true",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_too_deep_is_refused_in_words(text: str) -> None:
    assert refusal(text).endswith(scripts.TOO_DEEP)


# Readings


def _reading(value: object, *, is_stale: bool = False, next_at: datetime | None = None) -> Reading:
    return Reading(None if value is None else Decimal(str(value)), 9, NOW, is_stale, next_at)


def test_subjects_are_those_of_the_company_and_metrics_it_has() -> None:
    found = read('asr("10m") < 40 && channels() > metric("queue") + metric("gone")')
    assert subjects(found, 7, 3, "trunk-a", {"queue": 11}) == {
        ASR: Subject(Measure.ASR, 7, 3, "trunk-a", window=600),
        Need(Measure.CHANNELS): Subject(Measure.CHANNELS, 7, 3, "trunk-a"),
        Need(Measure.CUSTOM, key="queue"): Subject(Measure.CUSTOM, 7, metric_id=11),
    }


def test_a_reading_of_a_script_is_one_or_nothing_and_due_with_the_first_of_its_figures() -> None:
    script = read('asr("10m") < 40 || balance() < 5')
    wanted = subjects(script, 7, None, "", {})
    asr, balance = wanted.values()
    soon, later = NOW + timedelta(minutes=1), NOW + timedelta(minutes=9)

    def look(one: Reading, other: Reading) -> tuple[Decimal | None, bool, datetime | None]:
        found = scripts.reading(script, wanted, {asr: one, balance: other}, NOW)
        return found.value, found.is_stale, found.next_at

    assert look(_reading(39, next_at=later), _reading(9, next_at=soon)) == (Decimal(1), False, soon)
    assert look(_reading(41), _reading(9, next_at=later)) == (Decimal(0), False, later)
    assert look(_reading(None), _reading(9)) == (None, False, None)
    assert look(_reading(41), _reading(1, is_stale=True)) == (None, True, None)
    assert look(_reading(39), _reading(1, is_stale=True)) == (Decimal(1), False, None)
    assert look(_reading(None), _reading(9, is_stale=True)) == (None, True, None)


def test_what_was_kept_and_is_no_script_any_more_is_stale() -> None:
    assert scripts.kept("balance() < 3") == read("balance() < 3")
    found = scripts.reading(scripts.kept("[].all(x, x)"), {}, {}, NOW)
    assert found == Reading(None, None, NOW, is_stale=True, next_at=None)


# The reference


def test_the_reference_names_every_function_with_unit_and_sentence() -> None:
    found = reference()
    assert [each.name for each in found.functions] == [
        *("asr", "ner", "acd", "pdd", "cps", "attempts", "answered", "channels", "balance", "credit", "metric")
    ]
    assert all(each.unit and each.sentence.endswith(".") for each in found.functions)
    assert {each.measure for each in found.functions} == set(Measure)
    for each in found.functions:
        assert read(f"{each.signature} < 1").needs[0].measure is each.measure
    assert all(window_of(each) for each in found.windows)
