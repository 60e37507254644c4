"""The list of alerts: what is triggered first, every filter, and the same queries whatever there is."""

from tests.conftest import Cast, SignIn

LIST = "/admin/alerts"


def test_an_empty_list_says_what_to_do_next(cast: Cast, sign_in: SignIn) -> None:
    assert "Add the first one" in sign_in(cast.ada).get(LIST).text
    office = sign_in(cast.olaf).get(LIST).text
    assert "No alert yet" in office
    assert "Add the first one" not in office
