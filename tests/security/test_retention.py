"""What is forgotten: a person who asks for it, a company that was deleted, and what is older than its time."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.anonymise import NOWHERE, anonymise_person, delete_company
from portal.accounts.models import Company, Membership, Person, Session
from portal.audit import actions as audit
from portal.audit.models import AuditEntry
from portal.audit.queries import verify
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue import actions as catalogue
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications import actions as notifications
from portal.notifications.kinds import Recipient
from portal.notifications.models import Broadcast, Delivery, Suppression
from portal.notifications.queries import progress, suppressed_addresses
from portal.notifications.rules import BroadcastState, DeliveryState, SuppressionReason
from portal.records import retention
from portal.records.models import RetentionRule
from tests.conftest import NOW, Cast, SignIn, token_in
from tests.records.bringing_in import planned
from workers import tasks

LATER = NOW + timedelta(minutes=5)


def by_root(cast: Cast) -> Actor:
    return Actor(cast.root.email, cast.root.id, "192.0.2.1")


def mail(
    cast: Cast, people: list[Person], companies: list[Company], monkeypatch: pytest.MonkeyPatch, key: str = "k"
) -> Broadcast:
    """A broadcast to these people through these companies, its deliveries waiting."""
    from portal.notifications import kinds  # noqa: PLC0415 (only here)

    told = [
        Recipient(each.id, tuple(company.id for company in companies), each.email, each.name, "en") for each in people
    ]
    kind = kinds.Kind(name="probe", topic="incidents", label="Probe", recipients=lambda *_rest: (told, None))
    monkeypatch.setitem(kinds._kinds, "probe", kind)
    return notifications.queue_broadcast(
        "probe",
        idempotency_key=key,
        title="Probe",
        selector={},
        content={"en": {"subject": "Hello {{name}}", "text": "Dear {{name}}", "html": "<p>Dear {{name}}</p>"}},
        thread_key=key,
        by_person_id=None,
        now=NOW,
    )


def whole_database() -> str:
    """Every value of every row but of exports' files, as text."""
    found = []
    for table in db.metadata.sorted_tables:
        found += [f"{table.name}: {tuple(row)}" for row in db.session.execute(select(table))]
    return "\n".join(found)


# A person


def test_an_anonymised_person_is_nowhere_and_their_mail_never_goes(
    cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address and name stand in no row of any table; what was done is still told, and the chain holds."""
    person = accounts.add_person("Zebedee Quux", "zebedee@quux.test", by=by_root(cast), now=NOW)
    accounts.add_membership(person, cast.a, by=SYSTEM, now=NOW)
    token = accounts.open_session(person, cast.a.id, "a.portal.test", ip="203.0.113.9", user_agent="Zeb/1", now=NOW)
    own = Actor(person.email, person.id, "203.0.113.9")
    accounts.change_profile(person, "Zebedee Q. Quux", "de", "Europe/Berlin", version=person.version, by=own, now=NOW)
    notifications.suppress(person.email, "all", SuppressionReason.COMPLAINT, now=NOW, detail="zebedee@quux.test wrote")
    assert planned("people", "E-mail,Name,Company\nzebedee@quux.test,Zebedee Quux,Alder Dental\n").total == 1
    broadcast = mail(cast, [person, cast.bob], [cast.a], monkeypatch)
    db.session.execute(
        update(Delivery).where(Delivery.person_id == person.id).values(state="pending", finished_at=None)
    )
    db.session.flush()
    db.session.commit()
    assert token
    while audit.seal(LATER):
        pass
    kept = verify()
    counts = anonymise_person(person, " Zebedee@Quux.test ", version=person.version, by=by_root(cast), now=LATER)
    db.session.commit()
    assert counts["open_mails"] == 1
    text = whole_database().lower()
    for trace in ("zebedee", "quux", "203.0.113.9", "zeb/1"):
        assert trace not in text, [line for line in text.splitlines() if trace in line]
    db.session.refresh(person)
    assert (person.email, person.password_hash, person.role) == (f"former-{person.id}@{NOWHERE}", None, None)
    assert person.deactivated_at
    assert db.session.scalar(select(func.count()).select_from(Session).where(Session.person_id == person.id)) == 0
    assert db.session.scalar(select(func.count()).select_from(Membership).where(Membership.person_id == person.id)) == 0
    states = {
        row.person_id: row.state
        for row in db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id))
    }
    assert states == {person.id: DeliveryState.CANCELLED, cast.bob.id: DeliveryState.PENDING}
    while audit.seal(LATER + timedelta(minutes=1)):
        pass
    verdict = verify((kept.number, kept.hash))
    assert not verdict.problem
    assert verdict.erased >= 3
    told = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "person.profile")).one()
    assert told.actor == f"a former person #{person.id}"
    assert told.after is not None
    assert (told.after["name"], told.after["language"]) == ("erased", "de")


def test_what_a_forgotten_person_did_not_want_still_holds(cast: Cast) -> None:
    notifications.suppress(cast.bob.email, "all", SuppressionReason.COMPLAINT, now=NOW)
    address = cast.bob.email_key
    anonymise_person(cast.bob, cast.bob.email, version=cast.bob.version, by=by_root(cast), now=LATER)
    assert db.session.scalars(select(Suppression.address_key)).one().startswith("sha256:")
    assert set(suppressed_addresses([address, "else@people.test"], "incidents", LATER)) == {address}


def test_nobody_is_anonymised_by_mistake(cast: Cast) -> None:
    root = by_root(cast)
    with pytest.raises(RuleViolation, match="exactly"):
        anonymise_person(cast.alice, "bob@people.test", version=cast.alice.version, by=root, now=LATER)
    with pytest.raises(RuleViolation, match="yourself"):
        anonymise_person(cast.root, cast.root.email, version=cast.root.version, by=root, now=LATER)
    with pytest.raises(RuleViolation, match="last administrator"):
        anonymise_person(cast.root, cast.root.email, version=cast.root.version, by=SYSTEM, now=LATER)
    assert cast.alice.anonymised_at is None


def test_the_screen_says_what_it_touches_and_asks_for_the_address(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    path = f"/admin/erasure/people/{cast.alice.id}"
    page = client.get(path).get_data(as_text=True)
    assert "<dt>Companies they act for</dt><dd>1</dd>" in page
    form = {"csrf_token": token_in(client, path), "version": str(cast.alice.version)}
    assert client.post(path, data={**form, "typed": "alice"}).status_code == 422
    assert client.post(path, data={**form, "typed": cast.alice.email}).status_code == 303
    assert client.get(path).status_code == 404
    assert client.get(f"/admin/companies/{cast.a.id}").status_code == 200
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "person.anonymise")).one()
    assert entry.actor_id == cast.root.id
    assert "alice" not in str((entry.before, entry.after)).lower()


# A company


def test_r46_a_company_deleted_while_mail_waits_is_never_written_to(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = catalogue.add_service("Fax", by=SYSTEM, now=NOW)
    catalogue.add_holding(cast.a, service, reference="F1", component_ids=(), by=SYSTEM, now=NOW)
    broadcast = mail(cast, [cast.alice, cast.bob], [cast.a], monkeypatch)
    shared = mail(cast, [cast.charlie], [cast.a, cast.b], monkeypatch, "shared")
    db.session.commit()
    with pytest.raises(RuleViolation, match="Archive"):
        delete_company(cast.a, cast.a.name, version=cast.a.version, by=by_root(cast), now=LATER)
    catalogue.archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=LATER)
    with pytest.raises(RuleViolation, match="exactly"):
        delete_company(cast.a, "Another", version=cast.a.version, by=by_root(cast), now=LATER)
    company_id, name = cast.a.id, cast.a.name
    counts = delete_company(cast.a, name.upper(), version=cast.a.version, by=by_root(cast), now=LATER)
    db.session.commit()
    assert counts["open_mails"] == 2
    states = [row.state for row in db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id))]
    assert states == [DeliveryState.CANCELLED] * 2
    left = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == shared.id)).one()
    assert left.state is DeliveryState.PENDING
    assert db.session.get(Company, company_id) is None
    assert db.session.get(Person, cast.alice.id) is not None
    for table in db.metadata.sorted_tables:
        if "company_id" in table.c and table.name not in {"audit_entry", "delivery"}:
            left_over = select(func.count()).select_from(table).where(table.c.company_id == company_id)
            assert db.session.scalar(left_over) == 0, table.name
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "company.delete")).one()
    assert entry.before == {"name": name}


def test_the_screen_deletes_only_what_is_archived(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    path = f"/admin/erasure/companies/{cast.b.id}"
    assert client.get(path).status_code == 404
    catalogue.archive_company(cast.b, version=cast.b.version, by=SYSTEM, now=LATER)
    db.session.commit()
    form = {"csrf_token": token_in(client, path), "version": str(cast.b.version), "typed": "Birch Logistics"}
    assert client.post(path, data={**form, "version": "99"}).status_code == 409
    assert client.post(path, data=form).status_code == 303
    assert client.get(path).status_code == 404


# What is old


def test_every_kind_has_a_default_within_its_bounds() -> None:
    kept = list(retention._keepings.values())
    assert {"sessions", "links", "mail_ledger", "import_files", "export_files", "api_answers", "audit"} <= {
        each.name for each in kept
    }
    assert all(1 <= each.least_days <= each.default_days for each in kept)


def old_broadcast(cast: Cast, monkeypatch: pytest.MonkeyPatch, ended: datetime) -> Broadcast:
    people = [
        accounts.add_person(f"Old {number}", f"old{number}@people.test", by=SYSTEM, now=NOW) for number in range(5)
    ]
    broadcast = mail(cast, people, [cast.a], monkeypatch)
    states = [DeliveryState.SENT] * 3 + [DeliveryState.FAILED, DeliveryState.SUPPRESSED]
    for delivery, state in zip(
        db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id)), states, strict=True
    ):
        delivery.state, delivery.finished_at = state, ended
    broadcast.state, broadcast.finished_at = BroadcastState.DONE, ended
    db.session.flush()
    return broadcast


def figures(broadcast: Broadcast, now: datetime) -> tuple[int, ...]:
    found = progress(broadcast, now)
    return found.total, found.sent, found.failed, found.left_out, found.open


def test_the_ledger_goes_in_pieces_and_its_sums_stay_right(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    broadcast = old_broadcast(cast, monkeypatch, NOW - timedelta(days=800))
    before = figures(broadcast, NOW)
    kind = retention.setting("mail_ledger").keeping
    assert retention.older_than(kind, 730, NOW) == 5
    assert retention.older_than(kind, 900, NOW) == 0
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    pieces = []
    while gone := retention.forget_some("mail_ledger", NOW):
        pieces.append(gone)
        db.session.expire_all()
        assert figures(broadcast, NOW) == before
    assert pieces == [2, 2, 1]
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0


def test_what_is_under_way_is_never_forgotten(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    broadcast = old_broadcast(cast, monkeypatch, NOW - timedelta(days=800))
    broadcast.state, broadcast.finished_at = BroadcastState.PAUSED, None
    db.session.flush()
    assert retention.forget_some("mail_ledger", NOW) == 0


def test_the_tidy_up_forgets_what_is_old_once_a_day_and_says_so(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.utcnow()
    for days in (40, 40, 1):
        ended = now - timedelta(days=days)
        accounts.open_session(cast.alice, cast.a.id, "a.portal.test", ip="", user_agent="", now=ended)
        db.session.flush()
    db.session.execute(update(Session).values(revoked_at=Session.created_at))
    db.session.commit()
    assert "sessions" in retention.due(now)
    tasks.tidy_up()
    assert db.session.scalar(select(func.count()).select_from(Session)) == 1
    rule = db.session.get_one(RetentionRule, "sessions")
    assert rule.last_count == 2
    assert retention.due(clock.utcnow()) == []
    assert "sessions" in retention.due(clock.utcnow() + timedelta(days=1))
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "retention.forget")).one()
    assert entry.after == {"kind": "sessions", "days": 30, "count": 2}


def settings_form(client: Any, **changed: str) -> dict[str, str]:
    form = {"csrf_token": token_in(client, "/admin/retention")}
    for kept in retention.settings():
        form[f"days-{kept.keeping.name}"] = str(kept.days)
        form[f"version-{kept.keeping.name}"] = str(kept.version)
    return form | {name.replace("__", "-"): value for name, value in changed.items()}


def test_a_shorter_time_asks_with_the_number_first(
    cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_broadcast(cast, monkeypatch, clock.utcnow() - timedelta(days=100))
    db.session.commit()
    client = sign_in(cast.root)
    form = settings_form(client, days__mail_ledger="90")
    asks = client.post("/admin/retention", data=form)
    assert asks.status_code == 422
    assert "Mail ledger: 5 go with the next tidy-up" in asks.get_data(as_text=True)
    assert retention.setting("mail_ledger").days == 730
    assert client.post("/admin/retention", data={**form, "confirmed": "yes"}).status_code == 303
    assert retention.setting("mail_ledger").days == 90
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "retention.edit")).one()
    assert (entry.before, entry.after) == ({"kind": "mail_ledger", "days": 730}, {"kind": "mail_ledger", "days": 90})


def test_how_long_things_are_kept_is_not_changed_by_who_sits_down_at_an_open_screen(
    cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.root)
    form = settings_form(client, days__mail_ledger="90") | {"confirmed": "yes"}
    db.session.execute(update(Session).values(confirmed_at=clock.utcnow() - timedelta(hours=1)))
    db.session.commit()
    for answer in (client.get("/admin/retention"), client.post("/admin/retention", data=form)):
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/confirm?next=%2F")
    assert retention.setting("mail_ledger").days == 730


@pytest.mark.parametrize("days", ["0", "29", "-5", "4000", "x", "", "99999999999999999999"])
def test_a_time_out_of_its_bounds_is_refused_beside_its_field(cast: Cast, sign_in: SignIn, days: str) -> None:
    client = sign_in(cast.root)
    answer = client.post("/admin/retention", data=settings_form(client, days__mail_ledger=days))
    assert answer.status_code == 422
    assert "Keep these for 30 to 3,650 days." in answer.get_data(as_text=True)
    assert db.session.get(RetentionRule, "mail_ledger") is None


def test_two_who_set_the_same_time_at_once_are_told(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    form = settings_form(client, days__sessions="20")
    retention.change("sessions", 10, version=0, by=SYSTEM, now=clock.utcnow())
    events.commit()
    assert client.post("/admin/retention", data=form).status_code == 409
