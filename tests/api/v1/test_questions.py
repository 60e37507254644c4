"""Asking through the API: for the token's company, for the one a token of the staff names, and for nobody when off."""

import pytest

from portal import events
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.services.actions.assistant import set_assistant
from portal.services.queries.settings import settings
from tests.api.v1.conftest import MakeMachine, refusal
from tests.conftest import NOW, Cast
from tests.customer.outages import Outage, outage_of  # noqa: F401 (a fixture is found by name)
from tests.incidents.conftest import World, world  # noqa: F401

ASKED = "/questions?q=Is+hosted+telephony+down"


@pytest.fixture
def is_on(cast: Cast) -> None:
    set_assistant(True, version=0, by=SYSTEM, now=NOW)
    events.commit()


def test_while_the_setting_is_off_it_is_not_there(cast: Cast, world: World, machine: MakeMachine) -> None:  # noqa: F811
    refusal(machine(Scope.READ, company=cast.a).get(ASKED), 404)
    refusal(machine(Scope.READ).get(f"{ASKED}&company_id={cast.a.id}"), 404)


@pytest.mark.usefixtures("is_on")
class TestWhileItIsOn:
    def test_a_company_asks_for_itself(
        self,
        cast: Cast,
        world: World,  # noqa: F811
        machine: MakeMachine,
        outage_of: Outage,  # noqa: F811
    ) -> None:
        incident = outage_of(world.trunk)
        found = machine(Scope.READ, company=cast.a).read(ASKED)
        assert found["meaning"] == "about"
        assert found["answer"].startswith("Hosted telephony: System is down since ")
        (told,) = found["services"]
        assert told["holding_id"] == world.holding_a.id
        assert told["status"] == "system_is_down"
        assert told["incident_public_id"] == incident.public_id
        assert "update" not in found["answer"]

    def test_another_company_knows_nothing_of_it(
        self,
        cast: Cast,
        world: World,  # noqa: F811
        machine: MakeMachine,
    ) -> None:
        bound = machine(Scope.READ, company=cast.b)
        found = bound.read(ASKED)
        assert found["meaning"] == "unknown"
        assert found["answer"] == "I do not know that service. You have Internet access."
        refusal(bound.get(f"{ASKED}&company_id={cast.a.id}"), 404)
        assert bound.read(f"{ASKED}&company_id={cast.b.id}") == found

    def test_staff_say_whose_services_they_mean(
        self,
        cast: Cast,
        world: World,  # noqa: F811
        machine: MakeMachine,
    ) -> None:
        of_staff = machine(Scope.READ)
        assert of_staff.read(f"{ASKED}&company_id={cast.a.id}")["meaning"] == "about"
        assert refusal(of_staff.get(ASKED), 422)["errors"][0]["parameter"] == "company_id"
        refusal(of_staff.get(f"{ASKED}&company_id=2147483000"), 404)
        refusal(machine(Scope.COMPANIES).get(f"{ASKED}&company_id={cast.a.id}"), 403)

    def test_it_answers_in_the_language_that_is_asked_for(
        self,
        cast: Cast,
        world: World,  # noqa: F811
        machine: MakeMachine,
    ) -> None:
        bound = machine(Scope.READ, company=cast.a)
        assert bound.read("/questions?q=alles+ok%3F&language=de")["answer"] == "Alles, was Sie nutzen, läuft normal."
        assert bound.read("/questions?q=alles+ok%3F")["answer"] == "Everything you use is operating normally."
        refusal(bound.get("/questions?q=ok&language=fr"), 422)

    def test_no_question_asks_for_everything(
        self,
        cast: Cast,
        world: World,  # noqa: F811
        machine: MakeMachine,
        outage_of: Outage,  # noqa: F811
    ) -> None:
        bound = machine(Scope.READ, company=cast.a)
        assert bound.read("/questions") == {
            "meaning": "everything",
            "answer": "Everything you use is operating normally.",
            "services": [],
        }
        outage_of(world.trunk)
        assert bound.read("/questions?q=")["answer"].startswith("Hosted telephony: System is down since ")

    def test_what_is_no_question_says_so(
        self,
        cast: Cast,
        world: World,  # noqa: F811
        machine: MakeMachine,
    ) -> None:
        found = machine(Scope.READ, company=cast.a).read("/questions?q=%3Cscript%3E")
        assert (found["meaning"], found["services"]) == ("other", [])
        assert "script" not in found["answer"]

    def test_it_goes_with_the_area_and_with_the_setting(
        self,
        cast: Cast,
        world: World,  # noqa: F811
        machine: MakeMachine,
    ) -> None:
        bound, of_staff = machine(Scope.READ, company=cast.a), machine(Scope.READ)
        domains.set_areas(cast.domain_a, set(Area) - {Area.SERVICES}, version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        refusal(bound.get(ASKED), 404)
        refusal(of_staff.get(f"{ASKED}&company_id={cast.a.id}"), 404)
        assert machine(Scope.READ, company=cast.b).get(ASKED).status_code == 200
        set_assistant(False, version=settings().version, by=SYSTEM, now=NOW)
        events.commit()
        refusal(machine(Scope.READ, company=cast.b).get(ASKED), 404)

    def test_it_reads_only(self, cast: Cast, machine: MakeMachine) -> None:
        refusal(machine(Scope.ADMIN).send("POST", "/questions", {"q": "Is email down?"}), 405)
