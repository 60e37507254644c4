"""The chain over the audit trail: what it proves, and what the database itself refuses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from portal.audit import actions as audit
from portal.audit.models import AuditChain, AuditEntry, AuditTally
from portal.audit.queries import chain_state, verify
from portal.audit.rules import BUCKET, GENESIS, MASK, STRANGER_SLOTS, SYSTEM, Actor, bucket_of
from portal.extensions import db
from tests.conftest import NOW

LATER = NOW + timedelta(minutes=1)
ROOT = Actor("root@people.test", 7, "192.0.2.7", "req-7")


pytestmark = pytest.mark.usefixtures("session")


def write(count: int = 1, at: datetime = NOW, by: Actor = ROOT) -> None:
    for number in range(count):
        audit.record(
            "person.edit",
            object_kind="person",
            object_id=9,
            by=by,
            now=at,
            before={"name": f"Zoë {number}", "role": "office"},
            after={"name": f"Zoé {number}", "role": "admin"},
        )
    db.session.flush()


def sealed(count: int = 5) -> int:
    """Write entries and seal them; returns the number of the last one."""
    write(count)
    while audit.seal(LATER):
        pass
    return chain_state().number


def entry(number: int) -> AuditEntry:
    return db.session.scalars(select(AuditEntry).where(AuditEntry.chain_no == number)).one()


@pytest.fixture
def unguarded(session: None) -> None:
    """The triggers are off, as for somebody who owns the database."""
    if db.session.get_bind().dialect.name == "sqlite":
        for name in ("audit_entry_sealed", "audit_entry_kept", "audit_chain_onward"):
            db.session.execute(text(f"DROP TRIGGER {name}"))
    else:
        db.session.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER USER"))
        db.session.execute(text("ALTER TABLE audit_chain DISABLE TRIGGER USER"))


def change(number: int, **values: Any) -> None:
    db.session.execute(
        update(AuditEntry).where(AuditEntry.chain_no == number).values(**values),
        execution_options={"synchronize_session": False},
    )
    db.session.expire_all()


def test_entries_get_places_without_gaps_and_the_chain_holds() -> None:
    before = chain_state()
    last = sealed(5)
    assert last >= before.number + 5
    verdict = verify()
    assert not verdict.problem
    assert (verdict.number, verdict.hash) == (last, chain_state().hash)
    assert verdict.hash != GENESIS
    assert audit.seal(LATER) == 0


def test_what_is_too_young_waits() -> None:
    sealed()
    write(at=LATER)
    assert audit.seal(LATER + timedelta(seconds=1)) == 0
    assert chain_state().waiting == 1
    assert audit.seal(LATER + timedelta(seconds=30)) == 1
    assert chain_state().waiting == 0


def test_it_seals_in_bounded_pieces() -> None:
    sealed()
    write(7)
    assert [audit.seal(LATER, limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert not verify().problem


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "person.look"},
        {"actor": "somebody@else.test"},
        {"ip": None},
        {"after": {"name": "Zoé 2", "role": "office"}},
        {"before": {"name": "Somebody", "role": "office"}},
        {"company_id": 3},
        {"at": NOW + timedelta(microseconds=1)},
        {"chain_hash": "f" * 64},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_changed_entry_is_named_and_the_database_refuses_to_change_it(
    changes: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    last = sealed(5)
    with pytest.raises(DBAPIError, match="append only"), db.session.begin_nested():
        change(last - 2, **changes)
    request.getfixturevalue("unguarded")
    change(last - 2, **changes)
    verdict = verify()
    assert f"Entry {last - 2:,} (id {entry(last - 2).id}) was changed" in verdict.problem
    assert verdict.number == last - 3


def test_a_removed_entry_is_named_and_the_database_refuses_to_remove_it(request: pytest.FixtureRequest) -> None:
    last = sealed(5)
    with pytest.raises(DBAPIError, match="append only"), db.session.begin_nested():
        db.session.execute(delete(AuditEntry).where(AuditEntry.chain_no == last - 1))
    request.getfixturevalue("unguarded")
    db.session.execute(delete(AuditEntry).where(AuditEntry.chain_no == last - 1))
    assert f"Entry {last - 1:,} was removed" in verify().problem


def test_a_cut_off_end_is_noticed(unguarded: None) -> None:
    last = sealed(3)
    db.session.execute(delete(AuditEntry).where(AuditEntry.chain_no == last))
    assert f"Entry {last:,} was removed" in verify().problem


def test_what_was_never_sealed_may_not_go_either() -> None:
    sealed()
    write(at=LATER)
    with pytest.raises(DBAPIError, match="append only"), db.session.begin_nested():
        db.session.execute(delete(AuditEntry).where(AuditEntry.chain_no.is_(None)))


def test_an_inserted_entry_is_named(unguarded: None) -> None:
    last = sealed(5)
    for number in (last, last - 1):
        change(number, chain_no=number + 1)
    db.session.add(
        AuditEntry(
            at=NOW,
            actor="root",
            action="person.add",
            noun="person",
            object_kind="person",
            chain_no=last - 1,
            chain_hash="a" * 64,
        )
    )
    db.session.flush()
    assert f"Entry {last - 1:,} (id {entry(last - 1).id}) was inserted" in verify().problem


def test_an_entry_beyond_the_head_is_named(unguarded: None) -> None:
    last = sealed(2)
    write()
    db.session.execute(
        update(AuditEntry).where(AuditEntry.chain_no.is_(None)).values(chain_no=last + 1, chain_hash="b" * 64)
    )
    assert "was inserted" in verify().problem


def test_a_head_kept_elsewhere_proves_that_nothing_was_written_anew(unguarded: None) -> None:
    last = sealed(5)
    kept = (last, chain_state().hash)
    assert not verify(kept).problem
    # Somebody with every right over the database rewrites the whole chain: it holds in itself.
    change(last - 2, action="person.look")
    db.session.execute(
        update(AuditEntry).values(chain_no=None, chain_hash=None),
        execution_options={"synchronize_session": False},
    )
    db.session.execute(update(AuditChain).values(number=0, hash=GENESIS))
    db.session.expire_all()
    while audit.seal(LATER):
        pass
    assert not verify().problem
    assert f"Entry {last:,} was changed" in verify(kept).problem
    assert "once reached" in verify((last + 3, kept[1])).problem


def test_forgetting_the_oldest_leaves_an_anchor() -> None:
    last = sealed(6)
    kept = (last, chain_state().hash)
    first = chain_state().forgotten + 1
    oldest = (first, entry(first).chain_hash or "")
    before = db.session.scalar(select(func.count()).select_from(AuditEntry)) or 0
    assert audit.forget(datetime(2000, 1, 1, tzinfo=UTC), limit=100) == 0
    assert audit.forget(LATER, limit=2) == 2
    assert audit.forget(LATER, limit=1) == 1
    assert db.session.scalar(select(func.count()).select_from(AuditEntry)) == before - 3
    assert chain_state().forgotten == first + 2
    assert not verify(kept).problem
    assert "forgotten by retention" in verify(oldest).problem
    assert "was changed" in verify((first + 2, "d" * 64)).problem


def test_the_anchor_cannot_be_moved_to_drop_what_is_in_the_way() -> None:
    last = sealed(4)
    for values in ({"forgotten": last, "forgotten_hash": "c" * 64}, {"number": 0}):
        with pytest.raises(DBAPIError, match="append only"), db.session.begin_nested():
            db.session.execute(update(AuditChain).values(**values))
    with pytest.raises(DBAPIError, match="append only"), db.session.begin_nested():
        db.session.execute(delete(AuditChain))


def test_erasing_a_person_keeps_the_chain_and_what_was_done() -> None:
    write(2)
    audit.record(
        "person.edit", object_kind="person", object_id=7, by=SYSTEM, now=NOW, after={"name": "Root", "role": "x"}
    )
    audit.record("company.add", object_kind="company", object_id=3, by=ROOT, now=NOW, after={"name": "Alder"})
    sealed(1)
    kept = (chain_state().number, chain_state().hash)
    assert audit.erase_person(7, ["root@people.test"], LATER) == 5
    rows = db.session.execute(select(AuditEntry.actor, AuditEntry.ip, AuditEntry.before, AuditEntry.after)).all()
    assert "root@people.test" not in str(rows)
    assert "192.0.2.7" not in str(rows)
    about = db.session.scalars(select(AuditEntry).where(AuditEntry.object_id == 7, AuditEntry.noun == "person")).one()
    assert about.after == {"name": "erased", "role": "x"}
    company = db.session.scalars(select(AuditEntry).where(AuditEntry.noun == "company", AuditEntry.actor_id == 7)).one()
    assert (company.actor, company.after) == ("a former person #7", {"name": "Alder"})
    verdict = verify(kept)
    assert not verdict.problem
    assert verdict.erased == 5
    assert audit.erase_person(7, ["root@people.test"], LATER) == 0


def test_nothing_else_can_be_put_where_a_person_was_erased(unguarded: None) -> None:
    last = sealed(1)
    audit.erase_person(7, ["root@people.test"], LATER)
    change(last, actor="ada@people.test")
    assert "was changed where it had been erased" in verify().problem


def test_a_secret_never_reaches_the_trail() -> None:
    audit.record(
        "relay.edit",
        object_kind="relay",
        object_id=1,
        by=ROOT,
        now=NOW,
        before={"url": "smtp://user:hunter2@mail.test", "password_hash": "argon"},
        after={"nested": [{"api_token": "sb_live"}], "has_password": True},
    )
    db.session.flush()
    written = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert written is not None
    assert written.before == {"url": f"smtp://{MASK}@mail.test", "password_hash": MASK}
    assert written.after == {"nested": [{"api_token": MASK}], "has_password": True}


def test_what_outsiders_repeat_is_counted_in_bounded_rows() -> None:
    moment = bucket_of(NOW)
    for number in range(300):
        by = Actor("anonymous", ip=f"10.{number % 250}.{number // 250}.1")
        audit.count("session.refuse", by=by, now=moment, object_kind="session")
    for _ in range(40):
        audit.count(
            "session.refuse", by=Actor("anonymous", ip="10.0.0.1"), now=moment, object_kind="person", object_id=5
        )
    rows = db.session.execute(select(AuditTally.object_id, AuditTally.count)).all()
    assert len(rows) <= STRANGER_SLOTS + 1
    assert sum(number for _id, number in rows) == 340
    assert audit.fold(moment + timedelta(seconds=30)) == 0
    assert audit.fold(moment + BUCKET) == len(rows)
    told = db.session.scalars(
        select(AuditEntry).where(AuditEntry.action == "session.refuse", AuditEntry.object_id == 5)
    ).one()
    assert told.after is not None
    assert told.after["count"] == 40
    assert audit.fold(moment + BUCKET) == 0
