"""How services are, through the API: stating it of one, some and everybody, windows, taking back, and who sees what."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Holding
from portal.extensions import db
from portal.services.models import ServiceUpdate, ServiceView
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import NOW, Cast

DOWN = {"status": "system_is_down", "notes": "We look for the **cause**.", "ticket": "T-7", "notify": False}


@pytest.fixture
def held(cast: Cast) -> dict[str, int]:
    """Email held by A under two references and by B, and a line of A's."""
    email, line = (catalogue.add_service(name, by=SYSTEM, now=NOW) for name in ("Email", "Line"))
    found = {}
    for name, company, service, reference in (
        ("a", cast.a, email, "M-1"),
        ("a2", cast.a, email, "M-2"),
        ("b", cast.b, email, "M-3"),
        ("line", cast.a, line, "L-1"),
    ):
        found[name] = catalogue.add_holding(company, service, reference=reference, by=SYSTEM, now=NOW).id
    cast.b.external_id = "C-9"
    db.session.commit()
    return found | {"email": email.id, "line_service": line.id}


@pytest.fixture
def root(machine: MakeMachine) -> Machine:
    return machine(Scope.WRITE)


def status_of(root: Machine, holding_id: int) -> Any:
    return root.read(f"/holdings/{holding_id}/status")


def window_body(**more: Any) -> dict[str, Any]:
    starts_at = clock.utcnow().replace(microsecond=0) + timedelta(days=3)
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}
    return {"status": "scheduled_service", "notes": "Short breaks.", "notify": False, **times, **more}


def test_the_status_of_one_holding_is_stated_read_and_ended(root: Machine, held: dict[str, int]) -> None:
    made = root.make(f"/holdings/{held['a']}/status", DOWN)
    assert (made["kind"], made["scope"], made["holdings"], made["undoable"]) == ("stated", "one", 1, True)
    told = status_of(root, held["a"])
    assert told["status"] == "system_is_down"
    assert (told["stated"]["notes"], told["stated"]["ticket"]) == ("We look for the **cause**.", "T-7")
    assert status_of(root, held["a2"])["status"] == "operating_normally"
    root.make(f"/holdings/{held['a']}/status", {"status": "operating_normally", "notify": False})
    assert status_of(root, held["a"])["stated"] is None
    assert len(root.all(f"/service-updates?holding_id={held['a']}")) == 2
    assert [each["status"] for each in root.all("/service-updates?sort=id&limit=1")] == [
        "system_is_down",
        "operating_normally",
    ]
    assert root.all(f"/service-updates?holding_id={held['b']}") == []


@pytest.mark.parametrize(
    ("whom", "meant"),
    [
        ({"everyone": True}, ("a", "a2", "b")),
        ({"holding_ids": ["a", "b"]}, ("a", "b")),
        ({"account_numbers": ["M-2", "C-9"]}, ("a2", "b")),
        ({"q": "m-1"}, ("a",)),
    ],
)
def test_a_service_is_stated_for_everybody_or_for_those_chosen(
    root: Machine, held: dict[str, int], whom: dict[str, Any], meant: tuple[str, ...]
) -> None:
    if "holding_ids" in whom:
        whom = {"holding_ids": [held[each] for each in whom["holding_ids"]]}
    made = root.make(f"/services/{held['email']}/status", DOWN | whom)
    assert made["holdings"] == len(meant)
    now = {name: status_of(root, held[name])["status"] for name in ("a", "a2", "b", "line")}
    assert {name for name, status in now.items() if status == "system_is_down"} == set(meant)
    assert db.session.scalar(select(func.count(ServiceUpdate.id))) == 1


def test_whom_an_update_is_for_is_said_once_and_plainly(root: Machine, held: dict[str, int]) -> None:
    path = f"/services/{held['email']}/status"
    unclear: list[dict[str, Any]] = [{}, {"everyone": True, "q": "m"}, {"holding_ids": []}, {"everyone": False}]
    for whom in unclear:
        assert "Name who is meant" in refusal(root.send("POST", path, DOWN | whom), 422)["detail"]
    unknown = refusal(root.send("POST", path, DOWN | {"account_numbers": ["M-1", "X-1"]}), 422)
    assert unknown["errors"][0]["pointer"] == "/account_numbers"
    assert "X-1" in unknown["detail"]
    assert "M-1" not in unknown["detail"]
    other = refusal(root.send("POST", path, DOWN | {"holding_ids": [held["line"]]}), 422)
    assert other["errors"][0]["pointer"] == "/holding_ids"
    nobody = refusal(root.send("POST", path, DOWN | {"q": "nobody at all"}), 422)
    assert "Choose whose service it is" in nobody["detail"]
    refusal(root.send("POST", f"/services/{2**31 - 1}/status", DOWN | {"everyone": True}), 404)
    missing = refusal(root.send("POST", "/service-updates", DOWN | {"everyone": True}), 422)
    assert missing["errors"][0]["pointer"] == "/service_id"
    made = root.make("/service-updates", DOWN | {"holding_ids": [held["a"], held["line"]]})
    assert (made["holdings"], made["companies"], made["scope"]) == (2, 1, "chosen")
    everyone = {"service_id": held["email"], "everyone": True}
    assert root.make("/service-updates", DOWN | everyone)["scope"] == "all"


def test_what_cannot_be_stated_is_refused_beside_its_field(root: Machine, held: dict[str, int]) -> None:
    path = f"/holdings/{held['a']}/status"
    past = (clock.utcnow() - timedelta(hours=1)).isoformat()
    for body, field in (
        (DOWN | {"notes": "Back by [time]."}, "notes"),
        (DOWN | {"ends_at": past}, "ends_at"),
        (DOWN | {"began_at": "2999-01-01T00:00:00Z"}, "began_at"),
        ({"status": "scheduled_service"}, "starts_at"),
        (window_body(zone="Mars/Olympus"), "zone"),
        (DOWN | {"status": "fine"}, "status"),
    ):
        assert refusal(root.send("POST", path, body), 422)["errors"][0]["pointer"] == f"/{field}"
    assert db.session.scalar(select(func.count(ServiceUpdate.id))) == 0


def test_the_same_key_states_it_once(root: Machine, held: dict[str, int]) -> None:
    path = f"/services/{held['email']}/status"
    answers = [root.send("POST", path, DOWN | {"everyone": True}, Idempotency_Key="k1") for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json == answers[1].json
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert db.session.scalar(select(func.count(ServiceUpdate.id))) == 1


def test_an_update_is_taken_back_while_nobody_has_heard_of_it(root: Machine, held: dict[str, int]) -> None:
    made = root.make(f"/services/{held['email']}/status", DOWN | {"everyone": True})
    undone = root.send("POST", f"/service-updates/{made['id']}/undo").json
    assert undone is not None
    assert undone["undone_at"]
    assert not undone["undoable"]
    assert status_of(root, held["b"])["status"] == "operating_normally"
    again = refusal(root.send("POST", f"/service-updates/{made['id']}/undo"), 422)
    assert "undone already" in again["detail"]


def test_a_window_is_announced_moved_finished_and_cancelled(root: Machine, held: dict[str, int]) -> None:
    announced = root.make(f"/services/{held['email']}/status", window_body(everyone=True))
    window = root.read(f"/service-windows/{announced['window_id']}")
    assert (window["state"], window["holdings"], window["companies"], window["sequence"]) == ("announced", 3, 2, 0)
    assert root.read(f"/service-windows/{window['id']}")["public_id"] == window["public_id"]
    assert status_of(root, held["a"])["stated"]["window_id"] == window["public_id"]
    path = f"/service-windows/{window['public_id']}"
    end = clock.utcnow().replace(microsecond=0) + timedelta(days=4)
    later = {"starts_at": window["starts_at"], "ends_at": end.isoformat(), "notify": False}
    refusal(root.send("POST", f"{path}/move", later), 428)
    moved = root.send("POST", f"{path}/move", later, match=window["version"]).json
    assert moved is not None
    assert (moved["sequence"], moved["zone"]) == (1, "Europe/London")
    refusal(root.send("POST", f"{path}/move", later, match=window["version"]), 409)
    assert refusal(root.send("POST", f"{path}/finish", {"notify": False}, match="*"), 422)["detail"].startswith(
        "It has"
    )
    cancelled = root.send("POST", f"{path}/cancel", {"notes": "Not needed.", "notify": False}, match="*").json
    assert cancelled is not None
    assert cancelled["state"] == "cancelled"
    assert root.all("/service-windows?open=true") == []
    assert [each["id"] for each in root.all("/service-windows?open=false")] == [window["id"]]
    begun = clock.utcnow() - timedelta(minutes=5)
    under_way = root.make(f"/holdings/{held['a']}/status", window_body(starts_at=begun.isoformat()))
    path = f"/service-windows/{under_way['window_id']}"
    assert root.read(path)["state"] == "started"
    done = root.send("POST", f"{path}/finish", {"notify": False}, match="*").json
    assert done is not None
    assert done["state"] == "ended"
    assert done["confirmed_at"]
    assert status_of(root, held["a"])["status"] == "operating_normally"


def test_a_company_reads_what_was_said_of_its_own_and_nothing_of_the_office(
    root: Machine, machine: MakeMachine, held: dict[str, int], cast: Cast
) -> None:
    root.make(f"/services/{held['email']}/status", DOWN | {"everyone": True})
    of_b = root.make(f"/holdings/{held['b']}/status", DOWN | {"status": "intermittent_problems"})
    taken_back = root.make(f"/holdings/{held['line']}/status", DOWN)
    root.send("POST", f"/service-updates/{taken_back['id']}/undo")
    window = root.make(f"/services/{held['email']}/status", window_body(everyone=True))
    reader = machine(Scope.READ, cast.a)
    seen = reader.all("/service-updates")
    assert [each["status"] for each in seen] == ["scheduled_service", "system_is_down"]
    assert all(each["holding_ids"] == [held["a"], held["a2"]] for each in seen)
    assert not {"scope", "holdings", "companies", "notify", "undone_at", "undoable", "is_late"} & set(seen[0])
    for path in (f"/service-updates/{of_b['id']}", f"/service-updates/{taken_back['id']}"):
        refusal(reader.get(path), 404)
    windows = reader.all("/service-windows")
    assert [each["holding_ids"] for each in windows] == [[held["a"], held["a2"]]]
    assert not {"id", "holdings", "companies", "confirmed_at", "version"} & set(windows[0])
    refusal(reader.get("/service-windows/1"), 404)
    assert reader.get(f"/service-windows/{window['window_id']}").status_code == 200
    refusal(reader.send("POST", f"/holdings/{held['a']}/status", DOWN), 403)
    refusal(reader.send("POST", "/service-updates", DOWN | {"holding_ids": [held["a"]]}), 403)


def test_an_announcement_that_was_taken_back_is_not_there_for_a_company(
    root: Machine, machine: MakeMachine, held: dict[str, int], cast: Cast
) -> None:
    announced = root.make(f"/holdings/{held['line']}/status", window_body(notes="CANARY"))
    reader = machine(Scope.READ, cast.a)
    (window,) = reader.all("/service-windows")
    path = f"/service-windows/{window['public_id']}"
    assert root.send("POST", f"/service-updates/{announced['id']}/undo").status_code == 200
    for query in ("", "?open=true", "?open=false"):
        assert reader.all(f"/service-windows{query}") == []
    refusal(reader.get(path), 404)
    assert root.read(path)["state"] == "cancelled"


def test_windows_that_are_over_are_history(
    root: Machine, machine: MakeMachine, held: dict[str, int], cast: Cast
) -> None:
    root.make(f"/holdings/{held['line']}/status", window_body(notes="CANARY"))
    reader = machine(Scope.READ, cast.a)
    (window,) = root.all("/service-windows")
    path = f"/service-windows/{window['public_id']}"
    cancelled = root.send("POST", f"{path}/cancel", {"notify": False}, match=window["version"])
    assert cancelled.status_code == 200
    assert [each["state"] for each in reader.all("/service-windows")] == ["cancelled"]
    db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[], shows_history=False))
    db.session.commit()
    assert reader.all("/service-windows") == []
    refusal(reader.get(path), 404)
    assert root.read(path)["notes"]


def test_what_a_company_may_not_see_of_its_services_the_api_does_not_say(
    root: Machine, machine: MakeMachine, held: dict[str, int], cast: Cast
) -> None:
    root.make(f"/services/{held['email']}/status", DOWN | {"everyone": True})
    announced = root.make(f"/holdings/{held['line']}/status", window_body(ticket="T-8"))
    seen = ServiceView(domain_id=cast.domain_a.id, hidden_services=[held["email"]])
    seen.shows_notes = seen.shows_tickets = seen.shows_end_times = False
    db.session.add(seen)
    db.session.commit()
    reader = machine(Scope.READ, cast.a)
    assert [each["id"] for each in reader.all("/services")] == [held["line_service"]]
    assert [each["id"] for each in reader.all("/holdings")] == [held["line"]]
    hidden = (f"/services/{held['email']}", f"/holdings/{held['a']}", f"/holdings/{held['a']}/status")
    assert {reader.get(path).status_code for path in hidden} == {404}
    (only,) = reader.all("/service-updates")
    assert (only["id"], only["notes"], only["ticket"], only["ends_at"]) == (announced["id"], "", "", None)
    (window,) = reader.all("/service-windows")
    assert (window["notes"], window["ticket"], window["ends_at"]) == ("", "", None)
    stated = reader.read(f"/holdings/{held['line']}/status")["stated"]
    assert (stated["notes"], stated["ticket"], stated["ends_at"]) == ("", "", None)
    seen.shows_history = False
    db.session.commit()
    assert reader.all("/service-updates") == []
    assert [each["public_id"] for each in reader.all("/service-windows")] == [window["public_id"]]
    assert root.read(f"/holdings/{held['a']}/status")["stated"]["ticket"] == "T-7"


def test_whoever_keeps_the_catalogue_does_not_state_how_services_are(
    machine: MakeMachine, held: dict[str, int]
) -> None:
    keeper, status = machine(Scope.CATALOGUE), machine(Scope.INCIDENTS)
    refusal(keeper.send("POST", f"/holdings/{held['a']}/status", DOWN), 403)
    refusal(keeper.send("POST", f"/services/{held['email']}/status", DOWN | {"everyone": True}), 403)
    status.make("/service-updates", DOWN | {"service_id": held["email"], "everyone": True})
    assert db.session.scalar(select(func.count(Holding.id)).where(Holding.service_id == held["email"])) == 3
