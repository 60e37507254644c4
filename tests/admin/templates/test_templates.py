"""The screens of mail templates: what stands, writing it anew, versions, and trying it out."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.audit.models import AuditEntry
from portal.catalogue.notices.rules import TESTS_PER_HOUR
from portal.extensions import db
from portal.notifications.actions import suppress
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from portal.notifications.templates.models import MailTemplate
from portal.notifications.templates.queries import template_for
from portal.services.actions import Wanted
from portal.services.rules import ServiceStatus
from tests.conftest import Cast, SignIn, counted_queries, token_in
from tests.incidents.conftest import World, world  # noqa: F401 (a fixture)
from tests.services.acts import state

HOME = "/admin/settings/templates"
DOWN = f"{HOME}/outage_system_down/en"
WORDS = {
    "subject": "{{service_name}} is down",
    "text": "Dear {{name}},\n\n{{notes}}\n\nTicket {{ticket_number}}",
    "html": "<p>Dear <strong>{{name}}</strong></p>\n<div>{{notes}}</div>",
}


@pytest.fixture
def staff(sign_in: SignIn, cast: Cast) -> FlaskClient:
    return sign_in(cast.ada)


def post(client: FlaskClient, path: str, **values: Any) -> Any:
    return client.post(path, data={"csrf_token": token_in(client, "/admin/"), **values})


def page_of(answer: Any) -> BeautifulSoup:
    return BeautifulSoup(answer.get_data(as_text=True), "html.parser")


def text_of(answer: Any) -> str:
    return " ".join(page_of(answer).get_text(" ").split())


def newest_id() -> int:
    return db.session.scalar(select(func.max(MailTemplate.id))) or 0


def test_the_list_says_whose_words_stand_where(staff: FlaskClient, cast: Cast) -> None:
    seen = text_of(staff.get(HOME))
    for name in (
        "outage_operating_normally",
        "outage_service_scheduled",
        "outage_intermittent_problems",
        "outage_system_down",
        "outage_several_services",
    ):
        assert name in seen
    assert "Own words" not in seen
    assert post(staff, f"{DOWN}?domain={cast.domain_a.id}", version="0", **WORDS).status_code == 303
    seen = text_of(staff.get(HOME))
    assert "English Northline Own words since" in seen
    assert "by Ada" in seen


def test_what_is_saved_stands_and_every_save_is_a_version(staff: FlaskClient, cast: Cast) -> None:
    assert template_for("outage_system_down", "en", None).subject == "[{{brand}} status] {{service_name}}"
    saved = post(staff, DOWN, version="0", **WORDS)
    assert saved.status_code == 303
    first = newest_id()
    assert template_for("outage_system_down", "en", None).subject == WORDS["subject"]
    assert template_for("outage_system_down", "en", cast.domain_a.id).subject == WORDS["subject"]
    assert template_for("outage_system_down", "de", None).subject == "[Status von {{brand}}] {{service_name}}"
    again = post(staff, DOWN, version=first, **{**WORDS, "subject": "Down: {{service_name}}"})
    assert again.status_code == 303
    assert "Down: {{service_name}} Ada" in text_of(staff.get(DOWN))
    restored = post(staff, f"{DOWN}/restore", version=newest_id(), chosen=first)
    assert restored.status_code == 303
    assert template_for("outage_system_down", "en", None).subject == WORDS["subject"]
    assert post(staff, f"{DOWN}/reset", version=newest_id()).status_code == 303
    assert template_for("outage_system_down", "en", None).subject == "[{{brand}} status] {{service_name}}"
    actions = db.session.scalars(select(AuditEntry.action).where(AuditEntry.noun == "mail_template")).all()
    assert actions == ["mail_template.save"] * 3 + ["mail_template.reset"]
    assert db.session.scalar(select(func.count(MailTemplate.id))) == 4


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("subject", "", "Write a subject."),
        ("subject", "x" * 201, "The subject has 201 characters; 200 are allowed."),
        ("subject", "Hello {{ config }}", "There is no variable “config”."),
        ("subject", "News\x0bBcc: all", "This cannot be the subject of a mail"),
        ("subject", "=?utf-8?b?QQ==?=", "This cannot be the subject of a mail"),
        ("subject", "{{notes}}", "can have many lines"),
        ("text", "", "some people read no HTML"),
        ("text", "{% for x in y %}", "is of a template language"),
        ("text", "{{services}}", "There is no variable “services”."),
        ("html", "", "most people read that"),
        ("html", "<script>alert(1)</script>", "“<script>” cannot stand in a mail."),
        ("html", "<p>{{7*7}}</p>", "There is no variable “7*7”."),
        ("html", '<a href="{{company_name}}">x</a>', "A link cannot lead to {{company_name}}"),
        ("html", '<a href="https://evil.test/{{portal_url}}">x</a>', "at the beginning of a link"),
        ("html", '<p style="color:{{name}}">x</p>', "stands inside a tag"),
        (
            "html",
            '<a href="https://evil.test/?&#123;&#123;address}}">x</a>',
            "Type the braces of a variable as they are",
        ),
        ("html", "<p>&lbrace;&lbrace;unsubscribe_url}}</p>", "Type the braces of a variable as they are"),
        ("html", "<p>{<!-- -->{name}}</p>", "Type the braces of a variable as they are"),
        ("html", '<p style="background:url(https://x.test)">x</p>', "loads nothing from anywhere"),
        ("html", "<p style=\"background:image-set('https://x.test' 1x)\">x</p>", "“image-set(…)” cannot stand in"),
        ("html", '<p style="color:u\\72l(https://x.test)">x</p>', "“url(…)” cannot stand in its styles"),
        ("html", "<p style=\"color:\\73rc('https://x.test')\">x</p>", "“src(…)” cannot stand in its styles"),
        ("html", '<p style="background-color:&#117;rl(//x.test)">x</p>', "“url(…)” cannot stand in its styles"),
    ],
)
def test_what_cannot_be_sent_is_refused_beside_its_field_and_kept(
    staff: FlaskClient, field: str, typed: str, sentence: str
) -> None:
    answer = post(staff, DOWN, version="0", **{**WORDS, field: typed})
    assert answer.status_code == 422
    page = page_of(answer)
    assert sentence in page.select_one(f"#{field}-error").get_text()  # type: ignore[union-attr]
    kept = page.select_one(f"[name={field}]")
    assert kept is not None
    if field != "subject":
        assert kept.text.strip() == typed
    assert newest_id() == 0


def test_what_has_no_place_in_a_mail_is_taken_out_of_its_tags(staff: FlaskClient) -> None:
    html = '<p onclick="x()" style="color:red;position:fixed" id="a">Hi {{name}}</p><a href="javascript:x()">y</a>'
    html += r'<p style="background:u\72l(https://x.test);background-color:#eee">An image (see below)</p>'
    assert post(staff, DOWN, version="0", **{**WORDS, "html": html}).status_code == 303
    kept = template_for("outage_system_down", "en", None).html
    assert "onclick" not in kept
    assert "javascript" not in kept
    assert "position" not in kept
    assert "x.test" not in kept
    assert "background-color:#eee" in kept
    assert "An image (see below)" in kept
    assert "color:red" in kept
    assert "Hi {{name}}" in kept


def test_two_at_once_do_not_overwrite_each_other(staff: FlaskClient) -> None:
    assert post(staff, DOWN, version="0", **WORDS).status_code == 303
    late = post(staff, DOWN, version="0", **{**WORDS, "subject": "Mine"})
    assert late.status_code == 409
    page = page_of(late)
    assert page.select_one("[name=subject]")["value"] == "Mine"  # type: ignore[index]
    assert page.select_one("form#words-form [name=version]")["value"] == str(newest_id())  # type: ignore[index]
    assert "Somebody else has changed these words" in text_of(late)
    assert post(staff, f"{DOWN}/reset", version="0").status_code == 409
    assert post(staff, f"{DOWN}/restore", version="0", chosen=newest_id()).status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        f"{HOME}/nothing/en",
        f"{HOME}/outage_system_down/fr",
        f"{DOWN}?domain=999999",
        f"{DOWN}?domain=x",
        f"{DOWN}?page=2",
        f"{DOWN}?page=x",
    ],
)
def test_a_place_there_is_not_is_not_found(staff: FlaskClient, path: str) -> None:
    assert staff.get(path).status_code == 404


def test_a_version_of_another_place_is_not_restored(staff: FlaskClient) -> None:
    post(staff, DOWN, version="0", **WORDS)
    other = f"{HOME}/outage_system_down/de/restore"
    assert post(staff, other, version="0", chosen=newest_id()).status_code == 404
    assert post(staff, f"{DOWN}/restore", version=newest_id(), chosen="x").status_code == 404


def test_who_may_not_write_to_customers_is_refused(sign_in: SignIn, cast: Cast) -> None:
    assert sign_in(cast.olaf).get(HOME).status_code == 403
    assert sign_in(cast.root).get(HOME).status_code == 200


def test_the_preview_shows_the_latest_real_update_to_a_real_reader(
    staff: FlaskClient,
    cast: Cast,
    world: World,  # noqa: F811
) -> None:
    wanted = Wanted(ServiceStatus.DOWN, "The **trunk** <script>is</script> cut.", ticket="T-77")
    state(cast, [world.holding_a.id], wanted, "1", clock.utcnow())
    db.session.commit()
    answer = post(staff, f"{DOWN}/preview", version="0", **WORDS)
    seen = text_of(answer)
    assert "Hosted telephony (ACC-1) is down" in seen
    assert "Dear Alice" in seen
    assert "Ticket T-77" in seen
    assert "<strong>trunk</strong>" in answer.get_data(as_text=True)
    assert "<script>is" not in answer.get_data(as_text=True)
    assert newest_id() == 0
    refused = text_of(post(staff, f"{DOWN}/preview", version="0", **{**WORDS, "text": "{{nobody}}"}))
    assert "There is no variable “nobody”." in refused


def test_without_any_update_the_preview_has_real_services(staff: FlaskClient, world: World) -> None:  # noqa: F811
    for name in ("outage_service_scheduled", "outage_several_services", "outage_operating_normally"):
        seen = text_of(staff.get(f"{HOME}/{name}/en"))
        assert "Nothing was told in these words yet" in seen
        assert "Alice (alice@people.test)" in seen
        assert "Hosted telephony (ACC-1)" in seen


def test_the_frame_runs_and_loads_nothing(staff: FlaskClient) -> None:
    answer = staff.get(f"{HOME}/outage_several_services/de/mail")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "Mehrere Ihrer Dienste" in answer.get_data(as_text=True)


def test_a_test_goes_to_whoever_asks_and_not_too_often(staff: FlaskClient, cast: Cast, world: World) -> None:  # noqa: F811
    for _ in range(TESTS_PER_HOUR):
        assert post(staff, f"{DOWN}/test", version="0").status_code == 303
    mails = db.session.scalars(select(Delivery)).all()
    assert {each.address for each in mails} == {cast.ada.email}
    broadcast = db.session.scalars(select(Broadcast).limit(1)).one()
    assert broadcast.content["en"]["subject"].startswith("[Test] ")
    refused = post(staff, f"{DOWN}/test", version="0")
    assert refused.status_code == 422
    assert "5 tests within the hour" in text_of(refused)


def test_nobody_is_sent_a_test_who_can_be_sent_nothing(staff: FlaskClient, cast: Cast) -> None:
    suppress(cast.ada.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=clock.utcnow())
    db.session.commit()
    assert "Nothing of this list is mailed to" in text_of(post(staff, f"{DOWN}/test", version="0"))


def test_many_words_cost_no_more_queries(staff: FlaskClient, cast: Cast) -> None:
    def cost(path: str) -> int:
        with counted_queries() as statements:
            assert staff.get(path).status_code == 200
        return len(statements)

    cost(HOME)
    before, page_before = cost(HOME), cost(DOWN)
    for language in ("en", "de"):
        for domain in (None, cast.domain_a.id, cast.domain_b.id):
            where = f"?domain={domain}" if domain else ""
            post(staff, f"{HOME}/outage_system_down/{language}{where}", version="0", **WORDS)
    assert cost(HOME) == before
    assert cost(DOWN) <= page_before
