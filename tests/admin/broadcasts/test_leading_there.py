"""What leads to a notice: the pages of those it may be for, for who may send one, and the search."""

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from portal import clock
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.notices import actions as notices
from portal.catalogue.notices.rules import Chosen
from portal.extensions import db
from tests.conftest import Cast, SignIn

NEW = "/admin/broadcasts/notices/new"
WORDS = {"en": {"subject": "Numbers move in May", "body": "Text"}}


@pytest.fixture
def pages(cast: Cast) -> dict[str, tuple[str, str]]:
    """The pages that lead there, each with what they choose."""
    now = clock.utcnow()
    service = catalogue.add_service("Telephony", by=SYSTEM, now=now)
    component = catalogue.add_component("Trunk", by=SYSTEM, now=now)
    db.session.commit()
    return {
        "companies": (f"/admin/companies/{cast.a.id}", str(cast.a.id)),
        "services": (f"/admin/catalogue/services/{service.id}", str(service.id)),
        "components": (f"/admin/catalogue/components/{component.id}", str(component.id)),
        "domains": (f"/admin/settings/portals/{cast.domain_a.id}", str(cast.domain_a.id)),
    }


def link_to_notice(client: FlaskClient, path: str) -> str | None:
    answer = client.get(path)
    assert answer.status_code == 200, path
    found = BeautifulSoup(answer.text, "html.parser").select_one(f'main a[href^="{NEW}"]')
    return str(found["href"]) if found else None


def test_the_pages_of_readers_lead_to_a_notice_with_them_chosen(
    cast: Cast, sign_in: SignIn, pages: dict[str, tuple[str, str]]
) -> None:
    root = sign_in(cast.root)
    for kind, (path, row_id) in pages.items():
        href = link_to_notice(root, path)
        assert href == f"{NEW}?{kind}={row_id}"
        form = BeautifulSoup(root.get(href).text, "html.parser")
        checked = form.select(f'input[name="{kind}"][checked]')
        assert [each["value"] for each in checked] == [row_id], kind


def test_who_may_send_none_and_who_is_gone_are_not_led_there(
    cast: Cast, sign_in: SignIn, pages: dict[str, tuple[str, str]]
) -> None:
    olaf = sign_in(cast.olaf)
    for kind in ("companies", "services", "components"):
        assert link_to_notice(olaf, pages[kind][0]) is None, kind
    catalogue.archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert link_to_notice(sign_in(cast.root), pages["companies"][0]) is None


def test_a_notice_is_found_until_it_is_a_broadcast(cast: Cast, sign_in: SignIn) -> None:
    now = clock.utcnow()
    notice = notices.write(WORDS, Chosen.of(companies=[cast.a.id]), by=SYSTEM, author_id=cast.ada.id, now=now)
    db.session.commit()
    ada, olaf = sign_in(cast.ada), sign_in(cast.olaf)
    path = f"/admin/broadcasts/notices/{notice.id}"
    found = ada.get("/admin/search?q=numbers").text
    assert path in found
    assert "Draft" in found
    assert path not in olaf.get("/admin/search?q=numbers").text
    broadcast = notices.send(notice, version=notice.version, by=SYSTEM, now=now)
    db.session.commit()
    found = ada.get("/admin/search?q=numbers").text
    assert path not in found
    assert f"/admin/broadcasts/{broadcast.id}" in found
