"""Charts on the status page and a page each: for everybody, where staff show them, and never of a company."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from flask.testing import FlaskClient

from portal import clock
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.usage.actions import Wanted, add_metric, archive_metric, take_samples
from portal.usage.models import Metric, MetricPortal
from portal.usage.rules import Sample
from tests.conftest import NOW, Cast, SignIn, counted_queries

Visitor = Callable[[str], FlaskClient]

PAGE = "/status/metrics/pdd"


@pytest.fixture
def metric(cast: Cast) -> Metric:
    shown = frozenset({cast.domain_a.id})
    made = add_metric(Wanted("pdd", "Post-dial delay", "ms", decimals=1, domain_ids=shown), by=SYSTEM, now=NOW)
    _measure(made)
    return made


def _measure(metric: Metric) -> None:
    now = clock.utcnow()
    samples = [Sample(now - timedelta(minutes=each), Decimal(1200 + each)) for each in (0, 5, 10, 60, 65)]
    take_samples([(metric.id, each) for each in samples], now)
    db.session.commit()


def test_it_stands_on_the_status_page_of_its_portal_and_no_other(
    cast: Cast, metric: Metric, visitor: Visitor, sign_in: SignIn
) -> None:
    for reader in (visitor("a.portal.test"), sign_in(cast.alice)):
        page = reader.get("/status").text
        assert f'href="{PAGE}"' in page
        assert page.count('class="chart-line"') == 2
        assert "1,200.0" in page
        assert reader.get(PAGE).status_code == 200
    for reader in (visitor("b.portal.test"), sign_in(cast.charlie)):
        assert "Post-dial delay" not in reader.get("/status").text
        assert reader.get(PAGE).status_code in {302, 404}


@pytest.mark.parametrize("span", ["week", "month", "year"])
def test_each_span_is_a_picture_with_the_table_behind_it(metric: Metric, visitor: Visitor, span: str) -> None:
    page = visitor("a.portal.test").get(f"{PAGE}/{span}").text
    assert 'role="img"' in page
    assert "<title" in page
    assert "<desc" in page
    assert "<details" in page
    assert f'href="{PAGE}/{span}" aria-current="page"' in page
    assert "<script" not in page.split("<main", 1)[1].split("</main>", 1)[0]


def test_it_is_german_for_whoever_reads_german(cast: Cast, metric: Metric, visitor: Visitor) -> None:
    cast.domain_a.language = "de"
    db.session.commit()
    page = visitor("a.portal.test").get(PAGE).text
    assert "letzte 24 Stunden" in page
    assert "1.200,0" in page


def test_nothing_else_is_an_address(metric: Metric, visitor: Visitor) -> None:
    reader = visitor("a.portal.test")
    for address in (f"{PAGE}/decade", "/status/metrics/other", f"/status/metrics/{'x' * 100}"):
        assert reader.get(address).status_code in {302, 404}


def test_one_of_a_company_is_on_no_page_whatever_its_row_says(cast: Cast, visitor: Visitor, sign_in: SignIn) -> None:
    secret = add_metric(Wanted("pdd", "Calls of Alder", company_id=cast.a.id), by=SYSTEM, now=NOW)
    _measure(secret)
    db.session.add(MetricPortal(metric_id=secret.id, domain_id=cast.domain_a.id))
    db.session.commit()
    for reader in (visitor("a.portal.test"), sign_in(cast.alice), visitor("b.portal.test"), sign_in(cast.charlie)):
        assert "Calls of Alder" not in reader.get("/status").text
        assert reader.get(PAGE).status_code in {302, 404}


def test_an_archived_one_is_gone_at_once(metric: Metric, visitor: Visitor) -> None:
    reader = visitor("a.portal.test")
    assert "Post-dial delay" in reader.get("/status").text
    archive_metric(metric, version=metric.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert reader.get(PAGE).status_code in {302, 404}


def test_a_closed_page_shows_no_figure(cast: Cast, metric: Metric, visitor: Visitor) -> None:
    domains.set_areas(cast.domain_a, {Area.SERVICES}, version=cast.domain_a.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert visitor("a.portal.test").get(PAGE).status_code == 404


def test_the_page_asks_the_same_whatever_there_is(cast: Cast, metric: Metric, sign_in: SignIn) -> None:
    reader = sign_in(cast.alice)
    reader.get("/status")
    with counted_queries() as before:
        reader.get("/status")
    for number in range(8):
        each = Wanted(f"m{number}", f"M {number}", domain_ids=frozenset({cast.domain_a.id}))
        _measure(add_metric(each, by=SYSTEM, now=NOW))
    with counted_queries() as after:
        assert reader.get("/status").text.count("<figure") == 9
    assert len(after) == len(before)


def test_without_metrics_it_costs_one_query(cast: Cast, sign_in: SignIn) -> None:
    reader = sign_in(cast.alice)
    reader.get("/status")
    with counted_queries() as statements:
        page = reader.get("/status").text
    assert "<figure" not in page
    assert sum("metric" in statement for statement in statements) == 1
