"""The report history, and the way to open incidents from every staff page."""

from datetime import timedelta

import pytest

from portal import clock
from portal.extensions import db
from portal.incidents.rules import Severity, State, Visibility
from tests.admin.incidents.conftest import report, soup
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World

SLOW = Severity.PERFORMANCE_ISSUE


def test_an_empty_history_says_what_to_do(world: World, cast: Cast, sign_in: SignIn) -> None:
    page = sign_in(cast.ada).get("/admin/incidents").get_data(as_text=True)
    assert "Nothing has been reported yet" in page
    assert "Publish the first report" in page
    assert "Publish the first report" not in sign_in(cast.olaf).get("/admin/incidents").get_data(as_text=True)


def titles(client: object, query: str = "") -> list[str]:
    page = soup(client.get(f"/admin/incidents{query}"))  # type: ignore[attr-defined]
    return [link.get_text() for link in page.select("tbody th a")]


def test_reports_are_searched_and_filtered(world: World, cast: Cast, sign_in: SignIn) -> None:
    now = clock.utcnow()
    report("Open one", {world.trunk.id: SLOW}, now=now - timedelta(hours=1))
    report("Private one", {world.fibre.id: SLOW}, now=now - timedelta(hours=2), visibility=Visibility.PRIVATE)
    report("Fixed one", {world.trunk.id: SLOW}, now=now - timedelta(hours=3), state=State.FIXED)
    db.session.commit()
    client = sign_in(cast.olaf)
    assert titles(client) == ["Open one", "Private one", "Fixed one"]
    assert titles(client, "?q=fixed+one+body") == ["Fixed one"]
    assert titles(client, "?q=%25") == []
    assert titles(client, "?show=open") == ["Open one", "Private one"]
    assert titles(client, "?show=fixed") == ["Fixed one"]
    assert titles(client, "?show=private") == ["Private one"]
    assert titles(client, "?state=fixed") == ["Fixed one"]
    assert titles(client, f"?component={world.fibre.id}") == ["Private one"]
    assert titles(client, "?state=gone&component=x&show=what") == ["Open one", "Private one", "Fixed one"]
    assert "No report like that" in client.get("/admin/incidents?q=nothing").get_data(as_text=True)


def test_pages_keep_the_filters_and_end(world: World, cast: Cast, sign_in: SignIn) -> None:
    for number in range(27):
        report(f"Report {number}", {world.trunk.id: SLOW}, now=clock.utcnow() - timedelta(minutes=number))
    db.session.commit()
    client = sign_in(cast.ada)
    page = soup(client.get("/admin/incidents?show=open"))
    older = page.find("a", rel="next")
    assert older is not None
    assert older["href"] == "/admin/incidents?show=open&page=2"
    assert titles(client, "?show=open&page=2") == ["Report 25", "Report 26"]
    for wrong in ("0", "3", "-1", "x", "9" * 30, "1.5"):
        assert client.get(f"/admin/incidents?page={wrong}").status_code == 404


@pytest.mark.parametrize(("path", "most"), [("/admin/incidents", 26), ("/admin/", 42)])
def test_the_statements_of_a_page_do_not_follow_the_rows(
    world: World, cast: Cast, sign_in: SignIn, path: str, most: int
) -> None:
    """The mails of these reports are late, so the overview looks into relays and what waits twice: itself, and for
    the bar on every page."""
    client = sign_in(cast.ada)

    def cost() -> int:
        db.session.commit()
        with counted_queries() as statements:
            assert client.get(path).status_code == 200
        return len(statements)

    report("First", {world.trunk.id: SLOW}, notify=True)
    few = cost()
    for number in range(8):
        report(f"Noise {number}", {world.trunk.id: SLOW, world.fibre.id: SLOW}, notify=True)
    assert cost() == few
    assert few <= most


def test_every_staff_page_leads_to_what_is_open(world: World, cast: Cast, sign_in: SignIn) -> None:
    report("Slow", {world.trunk.id: SLOW})
    down = report("Down", {world.trunk.id: Severity.MAJOR_OUTAGE})
    report("Fixed", {world.trunk.id: SLOW}, state=State.FIXED)
    db.session.commit()
    page = soup(sign_in(cast.ada).get("/admin/styleguide"))
    names = [link.get_text() for link in page.select("#open-incidents .open-incidents-name > span:last-child")]
    assert names == ["Down", "Slow"]
    assert page.select_one(f'#open-incidents a[href="/admin/incidents/{down.id}?state=fixed#update"]') is not None
    office = soup(sign_in(cast.olaf).get("/admin/styleguide"))
    assert office.select("#open-incidents a") == []


def test_the_list_is_live_and_unchanged_it_is_304(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fragment = client.get("/admin/incidents?show=open", headers={"HX-Request": "true"})
    text = fragment.get_data(as_text=True)
    assert text.lstrip().startswith('<div class="incidents" id="incidents" data-live="staff"')
    assert 'hx-get="/admin/incidents?show=open"' in text
    headers = {"HX-Request": "true", "If-None-Match": fragment.headers["ETag"]}
    assert client.get("/admin/incidents?show=open", headers=headers).status_code == 304
