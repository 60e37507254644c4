"""Figures of a company: each with its present value, its definition and its chart, and honest where there is none."""

from datetime import UTC, timedelta
from decimal import Decimal

import pytest
from flask import Flask

from portal import clock
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.live import read_token
from portal.usage.actions import Wanted, add_metric, take_samples
from portal.usage.calls.rules import Outcome
from portal.usage.figures import CompanyFigure, company_figures
from portal.usage.rules import Measure, Sample, Span
from tests.conftest import Cast, SignIn, counted_queries
from tests.customer.calls.examples import call, take

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def _metric(cast: Cast, key: str, measure: Measure, *values: int, **rest: object) -> None:
    now = clock.utcnow()
    wanted = Wanted(key, f"Named {key}", company_id=cast.a.id, measure=measure, **rest)  # type: ignore[arg-type]
    made = add_metric(wanted, by=SYSTEM, now=now - timedelta(days=2))
    samples = [Sample(now - (len(values) - place) * MINUTE, Decimal(value)) for place, value in enumerate(values)]
    take_samples([(made.id, each) for each in samples], now)


def _figures(cast: Cast, span: Span = Span.DAY) -> dict[Measure, CompanyFigure]:
    return {each.measure: each for each in company_figures(cast.a.id, span, clock.utcnow(), UTC)}


def test_everything_stands_there_in_its_order_with_its_definition(cast: Cast, sign_in: SignIn) -> None:
    take(cast.a, call("one", 30 * MINUTE), call("two", 20 * MINUTE, talk=None))
    _metric(cast, "money", Measure.BALANCE, 40, 30, unit="EUR", decimals=2, debit_limit=Decimal(10))
    _metric(cast, "queue", Measure.CUSTOM, 3, 4, is_shown=True)
    _metric(cast, "secret", Measure.CUSTOM, 666)
    _metric(cast, "trunk", Measure.CHANNELS, 777, trunk="INTERNAL-TRUNK")
    db.session.commit()
    page = sign_in(cast.alice).get("/figures").text
    words = ["Balance", "Available credit", "Calls per second", "Channels in use", "ASR", "NER", "ACD", "PDD"]
    places = [page.index(f"<h2>{each}") for each in [*words, "Named queue"]]
    assert places == sorted(places)
    assert "30.00\u202fEUR" in page
    assert "40.00\u202fEUR" in page
    assert "50.00\u202f%" in page
    assert "from 2 calls" in page
    assert "What you can still use" in page
    for hidden in ("Named secret", "666", "777", "INTERNAL", "Named money"):
        assert hidden not in page
    assert page.count('<svg class="chart-drawing"') == 9
    assert page.count("The figures as a table") == 9
    assert "Named queue" not in sign_in(cast.charlie).get("/figures").text
    assert "No figures yet" in sign_in(cast.charlie).get("/figures").text


def test_no_calls_are_said_to_be_none_and_not_nothing_percent(cast: Cast, sign_in: SignIn) -> None:
    take(cast.a, call("one", 5 * HOUR))
    db.session.commit()
    page = sign_in(cast.alice).get("/figures").text
    assert page.count("No calls in the last hour.") == 2
    assert "No answered call ended in the last hour." in page
    assert "No call rang in the last hour." in page
    assert ">0.00" not in page
    figures = _figures(cast)
    assert figures[Measure.CPS].reading.value == 0
    assert figures[Measure.ASR].whole is not None


@pytest.mark.parametrize("span", list(Span))
def test_a_ratio_is_made_of_sums_at_each_point_in_each_row_and_over_all(cast: Cast, span: Span) -> None:
    """A day of one answered call and one of nine that were not: 10 % of ten calls, not the mean of 100 and 0."""
    take(cast.a, call("good", 30 * HOUR))
    take(cast.a, *(call(f"bad-{n}", 3 * HOUR, talk=None, outcome=Outcome.FAILED) for n in range(9)))
    figure = _figures(cast, span)[Measure.ASR]
    assert figure.whole is not None
    if span is Span.DAY:
        assert (figure.whole.value, figure.whole.calls) == (Decimal(0), 9)
        return
    assert (figure.whole.value, figure.whole.calls) == (Decimal(10), 10)
    assert {each.calls for each in figure.rows} <= {1, 9, 10}
    assert sum(each.calls or 0 for each in figure.rows) == 10
    assert (figure.whole.least, figure.whole.most) == (Decimal(0), Decimal(100))


def test_channels_go_on_until_something_changes(cast: Cast) -> None:
    take(cast.a, call("long", 3 * HOUR, talk=7200))
    figure = _figures(cast)[Measure.CHANNELS]
    assert figure.whole is not None
    assert figure.whole.most == 1
    busy = [each for each in figure.chart.points if each.mean == 1]
    assert 22 <= len(busy) <= 25, "two hours of five minutes"
    assert figure.chart.points[-1].last == 0


def test_the_credit_is_drawn_with_its_limit(cast: Cast) -> None:
    _metric(cast, "money", Measure.BALANCE, 40, 30, decimals=2, debit_limit=Decimal("-5"))
    figures = _figures(cast)
    assert [each.last for each in figures[Measure.CREDIT].chart.points][-1] == 25
    assert [each.last for each in figures[Measure.BALANCE].chart.points][-1] == 30


def test_calls_a_second_are_peaks_and_never_a_mean(cast: Cast) -> None:
    _metric(cast, "cps", Measure.CPS, 4, 90, 2)
    figure = _figures(cast)[Measure.CPS]
    assert figure.reading.value == 90
    assert figure.whole is not None
    assert (figure.whole.value, figure.chart.bands) == (Decimal(90), ())


def test_the_page_asks_the_same_however_many_figures_there_are(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    take(cast.a, call("one", 30 * MINUTE))
    _metric(cast, "own", Measure.CUSTOM, 1, is_shown=True)
    db.session.commit()
    with counted_queries() as few:
        assert client.get("/figures").status_code == 200
    for number in range(8):
        _metric(cast, f"own-{number}", Measure.CUSTOM, 1, is_shown=True)
    db.session.commit()
    with counted_queries() as many:
        assert client.get("/figures").status_code == 200
    assert len(many) == len(few)
    assert client.get("/figures?span=century").status_code == 404


def test_open_pages_hear_of_their_own_company_and_of_no_other(app: Flask, cast: Cast, sign_in: SignIn) -> None:
    client, own = sign_in(cast.alice), f"item:figures:{cast.a.id}"
    assert f'data-live="{own}"' in client.get("/figures").text
    wanted = [own, f"item:figures:{cast.b.id}"]
    text = client.get("/live-token", query_string={"topic": wanted}).get_json()["url"].split("token=")[1]
    token = read_token(app.config["SETTINGS"], text, clock.utcnow().timestamp())
    assert token is not None
    assert [topic for topic in token.topics if topic.startswith("item:figures")] == [own]
