"""What some are told in words of their own, and postmortems, through the API."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.catalogue.models import Holding, Service, ServiceDependency
from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast, counted_queries


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.INCIDENTS)


@pytest.fixture
def ring(machine: MakeMachine, cast: Cast) -> int:
    return int(machine(Scope.CATALOGUE).make("/components", {"title": "North ring"})["id"])


def report(ring: int, **more: Any) -> dict[str, Any]:
    named = [{"component_id": ring, "severity": "partial_rth"}]
    return {"title": "North ring is slow", "body": "We look.", "components": named, "notify": False, **more}


def path_of(desk: Machine, made: Any) -> str:
    update = desk.all(f"/incidents/{made['id']}/updates")[0]
    return f"/incidents/{made['id']}/updates/{update['id']}/wordings"


class TestWordings:
    def test_a_report_is_told_to_some_in_words_of_their_own(
        self, desk: Machine, machine: MakeMachine, ring: int, cast: Cast
    ) -> None:
        words = [
            {"company_id": cast.a.id, "text": "Your line is hit."},
            {"portal_id": cast.domain_b.id, "text": "Yours is not."},
        ]
        made = desk.make("/incidents", report(ring, notify=True, wordings=words))
        variants = dict(
            db.session.execute(
                select(Delivery.address, Delivery.wording).where(Delivery.broadcast_id == made["broadcast_id"])
            ).all()
        )
        assert len(set(variants.values())) == 2
        assert variants[cast.alice.email] == variants[cast.bob.email] != variants[cast.charlie.email]
        for company, host, told in (
            (cast.a, "a.portal.test", "Your line is hit."),
            (cast.b, "b.portal.test", "Yours is not."),
        ):
            (update,) = machine(Scope.READ, company, host).all(f"/incidents/{made['public_id']}/updates")
            assert update["body"] == told
        posted = desk.send(
            "POST", f"/incidents/{made['id']}/updates", {"body": "Still.", "notify": False, "wordings": words[:1]}
        )
        assert posted.status_code == 201
        assert [each["company_id"] for each in desk.read(path_of(desk, made))["wordings"]] == [cast.a.id]

    def test_they_are_read_set_and_taken_away(self, desk: Machine, machine: MakeMachine, ring: int, cast: Cast) -> None:
        made = desk.make("/incidents", report(ring))
        path = path_of(desk, made)
        assert desk.read(path) == {"wordings": [], "version": made["version"]}
        words: list[dict[str, Any]] = [{"company_id": None, "portal_id": cast.domain_a.id, "text": "At A it is well."}]
        words[0]["translations"] = {"de": {"body": "Bei A ist alles gut."}}
        refusal(desk.send("PUT", path, {"wordings": words}), 428)
        refusal(desk.send("PUT", path, {"wordings": words}, match=made["version"] + 1), 409)
        found = desk.send("PUT", path, {"wordings": words}, match=made["version"]).json
        assert found is not None
        (word,) = found["wordings"]
        assert word == {**words[0], "name": f"Everybody at {cast.domain_a.brand}"}
        reader = machine(Scope.READ, cast.a)
        updates = f"/incidents/{made['public_id']}/updates"
        assert [each["body"] for each in reader.all(updates)] == ["At A it is well."]
        assert desk.send("DELETE", path, match=found["version"]).status_code == 204
        assert [each["body"] for each in reader.all(updates)] == ["We look."]
        actions = db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
        assert actions.count("incident.edit_wordings") == 2
        assert db.session.scalar(select(Broadcast.id)) is None

    def test_whose_they_are_takes_two_queries_however_many_there_are(
        self, desk: Machine, ring: int, cast: Cast
    ) -> None:
        made = desk.make("/incidents", report(ring))
        path = path_of(desk, made)
        with counted_queries() as none:
            desk.read(path)
        words: list[dict[str, Any]] = [{"company_id": each.id, "text": "x"} for each in (cast.a, cast.b)]
        words += [{"portal_id": each.id, "text": "x"} for each in (cast.domain_a, cast.domain_b)]
        assert desk.send("PUT", path, {"wordings": words}, match="*").status_code == 200
        with counted_queries() as four:
            assert len(desk.read(path)["wordings"]) == 4
        assert len(four) <= len(none) + 2

    @pytest.mark.parametrize(
        "words",
        [
            [{"text": "For nobody"}],
            [{"company_id": 2_000_000_000, "text": "Gone"}],
            [{"portal_id": 2_000_000_000, "text": "Gone"}],
            [{"company_id": 1, "portal_id": 1, "text": "Two"}],
        ],
    )
    def test_what_cannot_be_says_so(self, desk: Machine, ring: int, words: list[dict[str, Any]]) -> None:
        path = path_of(desk, desk.make("/incidents", report(ring)))
        problem = refusal(desk.send("PUT", path, {"wordings": words}, match="*"), 422)
        assert [each["pointer"] for each in problem["errors"]] == ["/wordings"]
        assert desk.read(path)["wordings"] == []

    def test_whoever_reads_one_is_not_told_of_the_others(
        self, desk: Machine, machine: MakeMachine, ring: int, cast: Cast
    ) -> None:
        made = desk.make("/incidents", report(ring, wordings=[{"company_id": cast.b.id, "text": "For B alone."}]))
        (update,) = machine(Scope.READ, cast.a).all(f"/incidents/{made['public_id']}/updates")
        assert update["body"] == "We look."
        path = f"/incidents/{made['public_id']}/updates/{update['public_id']}/wordings"
        for company, host in ((cast.a, "a.portal.test"), (cast.b, "b.portal.test")):
            refusal(machine(Scope.READ, company, host).get(path), 404)
        assert machine(Scope.READ).read(path)["wordings"][0]["text"] == "For B alone."
        refusal(machine(Scope.READ).send("PUT", path, {"wordings": []}, match="*"), 403)


class TestPostmortem:
    def test_it_is_written_published_told_and_corrected(
        self, app: Flask, desk: Machine, machine: MakeMachine, ring: int, cast: Cast
    ) -> None:
        made = desk.make("/incidents", report(ring))
        path = f"/incidents/{made['id']}/postmortem"
        refusal(desk.get(path), 404)
        refusal(desk.send("PUT", path, {"body": "A fibre was cut."}), 428)
        draft = desk.send("PUT", path, {"body": "A fibre was cut."}, match=0).json
        assert draft is not None
        assert (draft["published_at"], draft["broadcast_id"]) == (None, None)
        refusal(desk.send("PUT", path, {"body": "Otherwise."}, match=0), 409)
        reader = machine(Scope.READ, cast.a)
        seen = f"/incidents/{made['public_id']}/postmortem"
        refusal(reader.get(seen), 404)
        problem = refusal(desk.send("POST", f"{path}/publish", {}, match=draft["version"]), 422)
        assert "not fixed" in problem["detail"]
        desk.make(f"/incidents/{made['id']}/updates", {"body": "Fixed.", "state": "fixed", "notify": False})
        published = desk.send("POST", f"{path}/publish", {}, match=draft["version"]).json
        assert published is not None
        assert (published["published_at"] is not None, published["notify"]) == (True, True)
        assert db.session.get(Broadcast, published["broadcast_id"]) is not None
        again = desk.send("POST", f"{path}/publish", {}, match="*").json
        assert again == published
        corrected = desk.send("PUT", path, {"body": "Two fibres."}, match=published["version"]).json
        assert corrected is not None
        told = reader.read(seen)
        assert told["body"] == "Two fibres."
        assert not {"version", "notify", "broadcast_id"} & told.keys()
        refusal(desk.send("DELETE", path, match=corrected["version"]), 422)

    def test_a_draft_is_thrown_away(self, desk: Machine, ring: int) -> None:
        made = desk.make("/incidents", report(ring))
        path = f"/incidents/{made['id']}/postmortem"
        refusal(desk.send("POST", f"{path}/publish", {}, match="*"), 404)
        draft = desk.send("PUT", path, {"body": "x"}, match="*").json
        assert draft is not None
        refusal(desk.send("DELETE", path, match=draft["version"] + 1), 409)
        assert desk.send("DELETE", path, match=draft["version"]).status_code == 204
        refusal(desk.get(path), 404)
        actions = db.session.scalars(select(AuditEntry.action)).all()
        assert {"postmortem.write", "postmortem.discard"} <= set(actions)

    def test_whom_the_incident_does_not_exist_for_its_postmortem_does_not_either(
        self, desk: Machine, machine: MakeMachine, ring: int, cast: Cast
    ) -> None:
        now = clock.utcnow()
        service = Service(name="Internet", name_key="internet", created_at=now)
        db.session.add(service)
        db.session.flush()
        holding = Holding(company_id=cast.b.id, service_id=service.id, reference="L", valid_from=now)
        db.session.add_all([holding, ServiceDependency(service_id=service.id, component_id=ring, valid_from=now)])
        db.session.commit()
        made = desk.make("/incidents", report(ring, audience="affected", state="fixed"))
        path = f"/incidents/{made['id']}/postmortem"
        desk.send("PUT", path, {"body": "Only for B."}, match=0)
        desk.send("POST", f"{path}/publish", {"notify": False}, match="*")
        seen = f"/incidents/{made['public_id']}/postmortem"
        assert machine(Scope.READ, cast.b, "b.portal.test").read(seen)["body"] == "Only for B."
        refusal(machine(Scope.READ, cast.a).get(seen), 404)
