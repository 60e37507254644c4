"""Templates of reports: their screens, and beginning with one."""

from typing import Any

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.templates import TemplateContent, keep_template
from portal.incidents.models import IncidentTemplate
from portal.incidents.queries.templates import live_templates
from portal.incidents.rules import Severity, State
from tests.admin.incidents.conftest import fields_of, post, report, soup
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World

TEMPLATES = "/admin/incidents/templates"
NEW = "/admin/incidents/new"


def kept(name: str, body: str = "We look into it.", **changes: Any) -> IncidentTemplate:
    made = keep_template(TemplateContent(name, body, **changes), by=SYSTEM, author_id=None, now=clock.utcnow())
    events.commit()
    return made


def test_an_empty_list_offers_the_set_once(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    page = client.get(TEMPLATES).get_data(as_text=True)
    assert "No templates yet" in page
    assert "A set to begin with" in page
    token = {"csrf_token": str(soup(client.get(TEMPLATES)).find("input", {"name": "csrf_token"})["value"])}  # type: ignore[index]
    assert post(client, f"{TEMPLATES}/starters", token).status_code == 303
    assert len(live_templates()) == 8
    assert "A set to begin with" not in client.get(TEMPLATES).get_data(as_text=True)
    post(client, f"{TEMPLATES}/starters", token)
    assert len(live_templates()) == 8


def test_one_is_written_changed_moved_and_put_away(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, f"{TEMPLATES}/new", "template-form") | {
        "name": "Calls fail",
        "body": "{{place}} <b>{{ 7 * 7 }}</b>",
        "components": [str(world.trunk.id)],
        f"components-{world.trunk.id}": "partial_rth",
    }
    assert post(client, f"{TEMPLATES}/new", fields | {"name": " "}).status_code == 422
    assert post(client, f"{TEMPLATES}/new", fields).status_code == 303
    (made,) = live_templates()
    assert made.severities == {str(world.trunk.id): "partial_rth"}
    other = kept("Other")
    page = client.get(TEMPLATES).get_data(as_text=True)
    assert "Asks for place" in page
    assert "<b>{{" not in page
    path = f"{TEMPLATES}/{made.id}"
    stale = fields_of(client, path, "template-form")
    assert post(client, path, stale | {"body": "Changed."}).status_code == 303
    answer = post(client, path, stale | {"body": "Mine."})
    assert answer.status_code == 409
    assert "Mine." in answer.get_data(as_text=True)
    assert "Changed." in answer.get_data(as_text=True)
    token = {"csrf_token": stale["csrf_token"]}
    db.session.expire_all()
    down = token | {"to": "down", "version": str(made.version)}
    assert post(client, f"{path}/move", down).status_code == 303
    assert [each.id for each in live_templates()] == [other.id, made.id]
    assert post(client, f"{path}/move", token | {"to": "up", "version": "99"}).status_code == 409
    db.session.expire_all()
    assert post(client, f"{path}/archive", token | {"version": str(made.version)}).status_code == 303
    assert [each.id for each in live_templates()] == [other.id]
    db.session.expire_all()
    assert post(client, f"{path}/restore", token | {"version": str(made.version)}).status_code == 303
    assert len(live_templates()) == 2
    assert client.get(f"{TEMPLATES}/999999").status_code == 404


def test_a_report_begins_with_one(world: World, cast: Cast, sign_in: SignIn) -> None:
    made = kept(
        "Calls fail",
        "{{components}} fail since {{time}} near {{place}}.",
        title="{{components}} fails",
        state=State.IDENTIFIED,
        severities={world.fibre.id: Severity.PERFORMANCE_ISSUE},
        promise=60,
    )
    client = sign_in(cast.ada)
    fields = fields_of(client, NEW, "report-form") | {
        "components": [str(world.trunk.id)],
        f"components-{world.trunk.id}": "major_outage",
    }
    with counted_queries() as statements:
        page = post(client, NEW, fields | {"use": str(made.id)})
    assert page.status_code == 200
    assert len(statements) < 45
    text = page.get_data(as_text=True)
    assert 'name="values-place"' in text
    assert "Nobody has filled {{place}} yet." in text
    filled = fields | {
        "title": "{{components}} fails",
        "body": made.body,
        "state": "identified",
        "next_update": "60",
        "components": [str(world.trunk.id), str(world.fibre.id)],
        f"components-{world.fibre.id}": "performance_issue",
    }
    shown = soup(page)
    assert shown.find(id="title")["value"] == filled["title"]  # type: ignore[index]
    assert {str(box["value"]) for box in shown.select('input[name="components"][checked]')} == set(filled["components"])
    refused = post(client, NEW, filled)
    assert refused.status_code == 422
    assert "Nobody has filled {{place}} yet." in refused.get_data(as_text=True)
    preview = post(client, "/admin/incidents/preview", filled | {"values-place": "<i>Leeds</i>"}).get_data(as_text=True)
    assert "Fibre and Trunk fail" in preview
    assert "<i>Leeds" not in preview
    answer = post(client, NEW, filled | {"values-place": "Leeds", "zone": "UTC"})
    assert answer.status_code == 303
    page_text = client.get(answer.location).get_data(as_text=True)
    assert "Fibre and Trunk fails" in page_text
    assert "near Leeds." in page_text


def test_a_blank_is_filled_before_it_is_published(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, NEW, "report-form") | {"title": "Calls", "body": "Back by […].", "names_none": "y"}
    answer = post(client, NEW, fields)
    assert answer.status_code == 422
    assert "Fill in the blank […]" in answer.get_data(as_text=True)


def test_an_update_begins_with_one_too(world: World, cast: Cast, sign_in: SignIn) -> None:
    made = kept("Mended", "Mended: {{cause}}.", title="Not used", state=State.WATCHING)
    incident = report("Trunk down", {world.trunk.id: Severity.MAJOR_OUTAGE})
    events.commit()
    client = sign_in(cast.ada)
    path = f"/admin/incidents/{incident.id}"
    fields = fields_of(client, path, "report-form")
    page = post(client, f"{path}/updates", fields | {"use": str(made.id), "body": "lost"})
    assert page.status_code == 200
    assert "Mended: {{cause}}." in page.get_data(as_text=True)
    assert post(client, f"{path}/updates", fields | {"body": made.body, "state": "watching"}).status_code == 422
    sent = fields | {"body": made.body, "state": "watching", "values-cause": "a loose plug"}
    assert post(client, f"{path}/updates", sent).status_code == 303
    assert "Mended: a loose plug." in client.get(path).get_data(as_text=True)
    assert db.session.get(type(incident), incident.id).title == "Trunk down"  # type: ignore[union-attr]


def test_what_was_typed_stays_and_what_another_template_said_goes(world: World, cast: Cast, sign_in: SignIn) -> None:
    first = kept("First", "The first text.", title="First title")
    second = kept("Second", "The second text.", title="Second title")
    client = sign_in(cast.ada)
    empty = fields_of(client, NEW, "report-form")

    def chosen(template: IncidentTemplate, **typed: str) -> tuple[str, str]:
        page = soup(post(client, NEW, empty | typed | {"use": str(template.id)}))
        title, body = page.find("input", {"name": "title"}), page.find("textarea", {"name": "body"})
        assert title is not None
        assert body is not None
        return str(title["value"]), body.text.strip()

    assert chosen(first) == ("First title", "The first text.")
    assert chosen(second, title="First title", body="The  first\r\ntext. ") == ("Second title", "The second text.")
    own = {"title": "Calls fail", "body": "We look into it."}
    assert chosen(second, **own) == ("Calls fail", "We look into it.\n\nThe second text.")


def test_a_template_that_is_gone_fills_nothing(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, NEW, "report-form") | {"title": "Typed"}
    for wanted in ("999999", "x", "١"):
        assert "Typed" in post(client, NEW, fields | {"use": wanted}).get_data(as_text=True)
