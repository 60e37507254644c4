"""What the leak proof reads of alerts: all they can say, and none of what is the staff's own."""

from portal.alerts.mails import KIND, TEST
from portal.alerts.models import AlertTemplate
from portal.alerts.proof import samples
from portal.alerts.telling import HAS_WORDS
from portal.extensions import db
from tests.alerts.telling import World
from tests.alerts.test_mails import world  # noqa: F401 (a fixture)
from tests.notifications.conftest import environment, outbox  # noqa: F401 (fixtures)


def test_everything_an_alert_can_say_is_there_and_no_name_of_staff(world: World) -> None:  # noqa: F811
    template = AlertTemplate(
        name="internal-name-7", name_key="internal-name-7", subject="{{nobody}}", text="x", created_at=world.box.now()
    )
    db.session.add(template)
    db.session.flush()
    world.alert(world.alice, template_id=template.id)
    found = list(samples(world.company.id, world.box.now()))
    assert len(found) == 2 * len(HAS_WORDS)
    assert {each.kind for each in found} == {KIND, TEST}
    for each in found:
        assert set(each.content) == {"en", "de"}, "what staff read is no customer's"
        assert "internal-name-7" not in str(each.content)
        for wording in each.content.values():
            assert "Low ASR" in wording["brief"]
            assert "{{sms}}" not in wording["brief"]
    ours = [each.content["en"]["text"] for each in found if each.kind == KIND]
    assert len(set(ours)) == len(HAS_WORDS)


def test_a_company_without_alerts_has_a_made_up_one(world: World) -> None:  # noqa: F811
    assert [each.kind for each in samples(world.company.id, world.box.now())] == [KIND, TEST]
