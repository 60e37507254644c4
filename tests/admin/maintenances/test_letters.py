"""The mail about planned work as a reader gets it, while the form is filled in: who reads it, and in which language."""

import re
from typing import Any

from bs4.element import Tag
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from tests.admin.maintenances.conftest import LIST, fields, last, one, planned, post, soup
from tests.admin.maintenances.test_planning import NEW, filled
from tests.conftest import Cast, SignIn, counted_queries, token_in
from tests.incidents.conftest import World


def letter_of(client: FlaskClient, path: str, form: dict[str, Any]) -> Tag:
    answer = post(client, path, form)
    assert answer.status_code == 200
    return one(soup(answer), "#letter")


def words(found: Tag, selector: str = "") -> str:
    return " ".join((one(found, selector) if selector else found).get_text(" ").split())


def test_the_announcement_reads_as_it_will_be_sent(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    form = filled(client, world, audience="affected")
    with counted_queries() as queries:
        letter = letter_of(client, f"{LIST}/mail", form)
    assert len(queries) <= 80
    assert words(letter, ".letter-subject") == "[Northline maintenance] Core switch"
    assert "It is about services of yours: Hosted telephony (ACC-1)." in words(letter, ".letter-body")
    assert one(letter, ".letter-body strong").get_text() == "core switch"
    assert "While it lasts, what is worked on is not available." in words(letter, "#letter-plain")
    assert "{{" not in letter.get_text()
    assert "/u/…" in words(letter, "#letter-plain")
    assert letter.select_one("table, style, title") is None
    assert post(client, NEW, form).status_code == 303
    # What was shown is what is sent, but for the address of the work, and the reader's own way out.
    sent = db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc()).limit(1)).one()
    told = db.session.scalars(select(Delivery).where(Delivery.person_id == cast.alice.id)).one()
    text = sent.content["en"]["text"]
    for name, value in told.values.items():
        text = text.replace("{{" + name + "}}", str(value))
    for line in text.partition("-- ")[0].splitlines():
        if "{{" not in line and "/maintenances/" not in line:
            assert " ".join(line.split()) in words(letter, "#letter-plain"), line


def test_reader_and_language_are_chosen_from_those_who_are_told(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    cast.bob.language, cast.bob.time_zone = "de", "Europe/Berlin"
    db.session.commit()
    form = filled(client, world, audience="affected")
    letter = letter_of(client, f"{LIST}/mail", form)
    offered = {str(each["value"]): each.get_text() for each in letter.select("#letter-reader option")}
    assert offered == {str(cast.alice.id): "Alice", str(cast.bob.id): "Bob"}
    assert one(letter, "article")["lang"] == "en"
    german = letter_of(client, f"{LIST}/mail", form | {"letter_reader": str(cast.bob.id)})
    assert one(german, "article")["lang"] == "de"
    assert one(german, "#letter-reader option[selected]").get_text() == "Bob"
    assert "Wartung angekündigt" in words(german, ".letter-body")
    assert re.search(r"(CES?T|MES?Z) \(", words(german, ".letter-body"))
    english = letter_of(client, f"{LIST}/mail", form | {"letter_reader": str(cast.bob.id), "letter_language": "en"})
    assert "Planned maintenance" in words(english, ".letter-body")
    assert re.search(r"CES?T", words(english, ".letter-body"))
    assert "Bob (bob@people.test) of Alder Dental." in words(english)
    # Of whom is not told, and of what is no number, nothing is shown.
    for wrong in (str(cast.charlie.id), "x", "9" * 30, "-1"):
        found = letter_of(client, f"{LIST}/mail", form | {"letter_reader": wrong, "letter_language": "xx"})
        assert "Charlie" not in words(found), wrong
        assert one(found, "article")["lang"] == "en", wrong


def test_nobody_told_is_no_mail_and_what_is_typed_is_harmless(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    form = filled(client, world)
    for silent in ({"notify": ""}, {"visibility": "private"}, {"ends_at": ""}):
        assert "there is none" in words(letter_of(client, f"{LIST}/mail", form | silent)), silent
    nasty = letter_of(
        client, f"{LIST}/mail", form | {"title": "<script>x</script>{{name}}", "body": "<img src=x> {{name}}"}
    )
    assert nasty.select_one("script, img") is None
    assert "<script>x</script>" in words(nasty, ".letter-subject")
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 0


def test_every_step_shows_its_notice(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    path = f"{LIST}/{planned('Switch', [world.trunk.id], notify=True).id}"
    said = {
        "move": "Maintenance moved",
        "begin": "Maintenance has begun",
        "note": "News about maintenance",
        "cancel": "Maintenance cancelled",
    }
    for step, heading in said.items():
        form = fields(client, f"{path}?do={step}", "step-form")
        page = one(soup(client.get(f"{path}?do={step}")), "#letter")
        assert heading in words(page, ".letter-body"), step
        letter = letter_of(client, f"{path}/mail?do={step}", form | {"body": "We are **sorry**."})
        assert heading in words(letter, ".letter-body")
        assert "We are sorry ." in words(letter, ".letter-body")
    assert post(client, f"{path}/begin", fields(client, f"{path}?do=begin", "step-form")).status_code == 303
    done = one(soup(client.get(f"{path}?do=complete")), "#letter")
    assert "Maintenance completed" in words(done, ".letter-body")
    assert last().title == "Switch"


def test_only_who_plans_may_ask(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    work = planned("Switch", [world.trunk.id], notify=True)
    token = {"csrf_token": token_in(client, "/admin/companies")}
    for path in (f"{LIST}/mail", f"{LIST}/{work.id}/mail"):
        assert client.post(path, data=token).status_code == 403
    assert "letter-title" not in client.get(f"{LIST}/{work.id}").text
