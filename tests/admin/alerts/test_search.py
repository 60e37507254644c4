"""Alerts are found where staff look for everything."""

from tests.admin.alerts.conftest import MakeAlert
from tests.conftest import Cast, SignIn


def test_an_alert_is_found_by_its_title_and_says_whose_it_is(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert
) -> None:
    alert = make_alert("Zebra crossing")
    found = sign_in(cast.olaf).get("/admin/search?q=zebra").text
    assert f"/admin/alerts/{alert.public_id}" in found
    assert "Alder Dental" in found
