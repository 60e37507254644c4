"""The mail about a report as a reader gets it, before it is published: the reader and the language are chosen."""

from sqlalchemy import func, select

from portal import events
from portal.extensions import db
from portal.incidents.rules import Severity
from portal.notifications.models import Broadcast
from tests.admin.incidents.conftest import fields_of, post, report, soup
from tests.admin.incidents.test_templates import NEW
from tests.admin.maintenances.conftest import one
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World


def test_the_mail_of_a_report_is_read_first(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    cast.bob.language = "de"
    db.session.commit()
    form = fields_of(client, NEW, "report-form") | {
        "title": "Calls fail",
        "body": "We **look** into it.",
        "state": "investigating",
        "audience": "affected",
        "components": [str(world.trunk.id)],
        f"components-{world.trunk.id}": "major_outage",
    }
    with counted_queries() as queries:
        letter = one(soup(post(client, "/admin/incidents/mail", form)), "#letter")
    assert len(queries) <= 75
    text = " ".join(letter.get_text(" ").split())
    assert "Calls fail" in one(letter, ".letter-subject").get_text()
    assert "Affected for you: Hosted telephony (ACC-1)." in text
    assert one(letter, ".letter-body strong").get_text() == "look"
    assert "{{" not in text
    assert [each.get_text() for each in letter.select("#letter-reader option")] == ["Alice", "Bob"]
    german = one(soup(post(client, "/admin/incidents/mail", form | {"letter_reader": str(cast.bob.id)})), "#letter")
    assert one(german, "article")["lang"] == "de"
    assert one(german, ".letter-subject").get_text() == "[Status von Northline] Calls fail"
    own = form | {"wordings-to": "company", "wordings-company": cast.a.name, "wordings-text": "Your own words."}
    assert "Your own words." in one(soup(post(client, "/admin/incidents/mail", own)), "#letter-plain").get_text()
    quiet = one(soup(post(client, "/admin/incidents/mail", form | {"visibility": "private"})), "#letter")
    assert "there is none" in quiet.get_text()
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 0


def test_the_mail_of_an_update_says_where_it_stands(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    incident = report("Trunk down", {world.trunk.id: Severity.MAJOR_OUTAGE})
    events.commit()
    path = f"/admin/incidents/{incident.id}"
    assert one(soup(client.get(path)), "#letter-source")["hx-post"] == f"{path}/mail"
    form = fields_of(client, path, "report-form") | {"state": "fixed", "body": "It works again."}
    letter = one(soup(post(client, f"{path}/mail", form)), "#letter")
    text = " ".join(letter.get_text(" ").split())
    assert "Trunk down" in one(letter, ".letter-subject").get_text()
    assert "Fixed" in text
    assert "It works again." in text
    assert "{{" not in text
