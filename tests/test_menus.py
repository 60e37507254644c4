"""A menu shows what exists and what whoever looks may open, and nothing else."""

from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from portal.domains.rules import Area
from portal.extensions import db
from tests.conftest import Cast, SignIn


def entries(client: FlaskClient, path: str) -> dict[str, str]:
    """The menu of a page: words and addresses."""
    page = BeautifulSoup(client.get(path).data, "html.parser")
    menu = page.select_one("#navigation")
    assert menu is not None
    return {link.get_text(strip=True): str(link["href"]) for link in menu.select("a")}


def test_every_entry_leads_somewhere(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    found = entries(client, "/admin/styleguide")
    assert "Style guide" in found
    assert {words: client.get(address).status_code for words, address in found.items()} == dict.fromkeys(found, 200)


def test_the_page_one_is_on_is_marked(cast: Cast, sign_in: SignIn) -> None:
    page = BeautifulSoup(sign_in(cast.root).get("/admin/styleguide").data, "html.parser")
    assert [link.get_text(strip=True) for link in page.select("#navigation [aria-current=page]")] == ["Style guide"]


def test_what_a_role_may_not_open_is_not_offered(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    found = entries(client, "/admin/styleguide")
    assert {client.get(address).status_code for address in found.values()} == {200}
    assert set(found) <= set(entries(sign_in(cast.root), "/admin/styleguide"))


def test_a_closed_area_is_not_offered(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    assert {"Home", "Status", "Services"} <= set(entries(client, "/"))
    cast.domain_a.areas = [Area.SERVICES]
    db.session.commit()
    assert set(entries(client, "/")) == {"Home", "Services"}
