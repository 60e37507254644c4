"""An alert that is kept silent says so, and by which report; staff are told when the customer may not know."""

import pytest
from bs4 import BeautifulSoup

from portal import clock
from portal.alerts import actions
from portal.alerts.rules import AlertArea, Operator
from portal.extensions import db
from portal.incidents.rules import Severity, Visibility
from tests.admin.alerts.conftest import MakeAlert
from tests.admin.incidents.conftest import report, world
from tests.conftest import Cast, SignIn
from tests.incidents.conftest import World

__all__ = ["world"]


@pytest.mark.parametrize("visibility", list(Visibility))
def test_its_page_leads_to_what_mutes_it(
    world: World, cast: Cast, sign_in: SignIn, make_alert: MakeAlert, visibility: Visibility
) -> None:
    down = Severity.MAJOR_OUTAGE
    report("The ring is cut", {world.trunk.id: down, world.fibre.id: down}, visibility=visibility)
    alert = make_alert("Busy", area=AlertArea.CHANNELS, operator=Operator.MORE)
    actions.evaluate_all(clock.utcnow())
    db.session.commit()
    client = sign_in(cast.ada)
    page = BeautifulSoup(client.get(f"/admin/alerts/{alert.public_id}").data, "html.parser")
    notice = next(each for each in page.select("#shown .notice") if "Muted since" in each.get_text())
    assert [link.get_text() for link in notice.select("a")] == ["The ring is cut"]
    assert ("The customer is not told why" in notice.get_text()) is (visibility is Visibility.PRIVATE)
    assert "Busy" in client.get("/admin/alerts?state=muted").text
