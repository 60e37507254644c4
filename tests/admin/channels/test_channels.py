"""Setting channels up, testing them and mending them: the screens of `/admin/channels`."""

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.notifications.models import ContactChannel
from tests.conftest import Cast, SignIn, token_in

URL = "https://hooks.example.com/incoming/abcdef"


@pytest.fixture
def made(cast: Cast, sign_in: SignIn) -> ContactChannel:
    client = sign_in(cast.root)
    client.post("/confirm", data={"password": "correct horse battery", "csrf_token": token_in(client, "/confirm")})
    answer = client.post("/admin/channels/new", data={
        "csrf_token": token_in(client, "/admin/channels"), "kind": "webhook", "whose": "company", "company": cast.a.name, "label": "Their NOC", "address": URL, "topics": ["incidents"], "language": "en"})
    assert answer.status_code == 200, answer.text
    return db.session.scalars(select(ContactChannel)).one()


def test_a_new_channel_stands_in_the_list_and_on_its_page(made: ContactChannel, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    assert "Their NOC" in client.get("/admin/channels").text
    assert "Their NOC" in client.get(f"/admin/channels/{made.id}").text
