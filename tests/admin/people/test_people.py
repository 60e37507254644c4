"""The people screens: who is found, what one page tells, inviting one and many, roles, and what each button does."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.models import AccountMail, MailedLink, Membership, Person, SecondFactor, Session
from portal.accounts.queries import people_of
from portal.accounts.rules import ALLOWED, Permission, Role
from portal.accounts.rules.links import Letter, Purpose
from portal.admin.people.words import PERMISSION_WORDS, ROLE_WORDS
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications.account_mails import write_account_mails
from portal.notifications.actions import suppress
from portal.notifications.models import Broadcast, Delivery, Suppression
from portal.notifications.rules import SuppressionReason
from portal.records import retention
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, counted_queries, token_in

LIST = "/admin/people"
NASTY = "<script>alert(1)</script>\"'&"


def post(client: FlaskClient, path: str, **fields: Any) -> tuple[int, str]:
    answer = client.post(path, data={"csrf_token": token_in(client, LIST), **fields})
    return answer.status_code, html.unescape(answer.get_data(as_text=True))


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return html.unescape(answer.get_data(as_text=True))


def by_email(email: str) -> Person | None:
    db.session.expire_all()
    return db.session.scalars(select(Person).where(Person.email_key == email)).one_or_none()


def letters(person: Person) -> list[Letter]:
    rows = select(AccountMail.kind).where(AccountMail.person_id == person.id).order_by(AccountMail.id)
    return list(db.session.scalars(rows))


def audited(action: str) -> list[AuditEntry]:
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)))


NAMES = ["Ada", "Olaf", "Root", "Alice", "Bob", "Charlie"]


def shown(client: FlaskClient, query: str) -> set[str]:
    text = page(client, LIST + query)
    return {name for name in NAMES if f">{name}</a>" in text}


def test_people_are_searched_and_narrowed_in_the_address(cast: Cast, sign_in: SignIn) -> None:
    cast.bob.deactivated_at = NOW
    cast.charlie.password_hash = None
    accounts.invite(cast.charlie, by=SYSTEM, now=clock.utcnow())
    db.session.add(SecondFactor(person_id=cast.ada.id, sealed_secret="x", created_at=NOW, confirmed_at=NOW))
    db.session.commit()
    client = sign_in(cast.root)
    sign_in(cast.alice)
    assert shown(client, "") == set(NAMES)
    assert shown(client, "?q=ALICE@people") == {"Alice"}
    assert shown(client, "?q=birch") == {"Charlie"}
    assert shown(client, "?who=customers") == {"Alice", "Bob", "Charlie"}
    assert shown(client, "?who=staff") == {"Ada", "Olaf", "Root"}
    assert shown(client, "?who=status") == {"Ada"}
    assert shown(client, "?how=deactivated") == {"Bob"}
    assert shown(client, "?how=invited") == {"Charlie"}
    assert shown(client, "?how=never-signed-in") == {"Ada", "Olaf", "Charlie"}
    assert shown(client, "?how=no-second-factor") == {"Olaf", "Root"}
    assert shown(client, f"?company={cast.a.id}&who=customers") == {"Alice", "Bob"}
    assert shown(client, "?who=nonsense&how=x") == set(NAMES)
    assert "Nobody matches" in page(client, f"{LIST}?q=%25")
    narrowed = page(client, f"{LIST}?who=staff&q=a")
    assert f"{LIST}?q=a&who=staff&how=deactivated" in narrowed
    assert client.get(f"{LIST}?company=4711").status_code == 404
    assert client.get(f"{LIST}?page=2").status_code == 404


def test_the_list_takes_as_many_queries_for_fifty_as_for_six(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    page(client, LIST)
    with counted_queries() as few:
        page(client, LIST)
    for number in range(60):
        person = accounts.add_person(f"P{number:02}", f"p{number}@x.example", by=SYSTEM, now=NOW)
        accounts.add_membership(person, cast.a if number % 2 else cast.b, by=SYSTEM, now=NOW)
        accounts.add_membership(person, cast.b, by=SYSTEM, now=NOW)
    db.session.commit()
    with counted_queries() as many:
        text = page(client, LIST)
    assert len(many) <= len(few) + 1
    assert "66 people" in text
    assert "Page 1 of 2" in text


def test_one_page_takes_a_bounded_number_of_queries(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    path = f"{LIST}/{cast.alice.id}"
    page(client, path)
    with counted_queries() as few:
        page(client, path)
    for number in range(20):
        company = accounts.add_company(f"Firm {number}", by=SYSTEM, now=NOW)
        accounts.add_membership(cast.alice, company, by=SYSTEM, now=NOW)
        sign_in(cast.alice)
    with counted_queries() as many:
        page(client, path)
    assert len(many) == len(few) <= 22


def test_the_office_reads_and_only_admins_press(cast: Cast, sign_in: SignIn) -> None:
    client, base = sign_in(cast.olaf), f"{LIST}/{cast.alice.id}"
    sign_in(cast.alice)
    text = page(client, base)
    assert "Alder Dental" in text
    assert "Sessions" not in text
    assert re.findall(r'<form[^>]*method="post"[^>]*action="(/admin[^"]*)"', text) == []
    assert "Invite" not in page(client, LIST)
    for path in ("/edit", "/role", "/companies", "/reset", "/invitation", "/sessions/end", "/deactivate"):
        assert post(client, base + path, version=1)[0] == 403
    assert post(client, f"{LIST}/invite")[0] == post(client, f"{LIST}/invite/staff")[0] == 403


def test_names_are_text_whatever_is_in_them(cast: Cast, sign_in: SignIn) -> None:
    cast.alice.name = NASTY
    db.session.commit()
    for path in (LIST, f"{LIST}/{cast.alice.id}", f"{LIST}/{cast.alice.id}/edit", f"{LIST}?q={NASTY}"):
        assert "<script>alert" not in sign_in(cast.root).get(path).get_data(as_text=True)


# Inviting.


def test_a_new_address_is_invited_at_once(cast: Cast, sign_in: SignIn) -> None:
    cast.domain_a.language, cast.domain_a.time_zone = "de", "Europe/Berlin"
    db.session.commit()
    client = sign_in(cast.root)
    status, _ = post(client, f"{LIST}/invite", company_id=cast.a.id, name="Dora", email="dora@people.test")
    assert status == 303
    dora = by_email("dora@people.test")
    assert dora is not None
    assert (dora.role, dora.password_hash, dora.language, dora.time_zone) == (None, None, "de", "Europe/Berlin")
    assert dora in people_of(cast.a.id)
    assert letters(dora) == [Letter.INVITATION]
    assert "Invited just now" in re.sub(r"<[^>]+>", "", page(client, f"/admin/companies/{cast.a.id}"))
    assert "Invited just now" in re.sub(r"<[^>]+>", "", page(client, f"{LIST}/{dora.id}"))


def test_a_known_address_joins_after_a_look_and_is_told(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    fields = {"company_id": cast.b.id, "name": "Somebody else", "email": "ALICE@people.test"}
    status, text = post(client, f"{LIST}/invite", **fields)
    assert status == 200
    assert "Acts for Birch Logistics too" in text
    assert "Alice is known and keeps that name" in text
    assert cast.alice not in people_of(cast.b.id)
    (seal,) = re.findall(r'name="agreed" value="([0-9a-f]{64})"', text)
    assert post(client, f"{LIST}/invite", **fields, agreed=seal)[0] == 303
    assert cast.alice in people_of(cast.b.id)
    assert letters(cast.alice) == [Letter.MEMBERSHIP]
    assert by_email("alice@people.test").name == "Alice"  # type: ignore[union-attr]
    assert "Nothing. Alice already acts for" in post(client, f"{LIST}/invite", **fields)[1]


def test_several_are_looked_at_first_and_no_line_is_lost(cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.root), f"{LIST}/invite?many=1"
    lines = (
        "Dora <dora@people.test>\nrubbish here\nCharlie <charlie@people.test>\nDora again <DORA@people.test>\n<x@y.z>"
    )
    status, text = post(client, path, company_id=cast.a.id, lines=lines)
    assert status == 422
    assert "2 lines cannot be used. Nobody was invited yet." in text
    assert "Line 2: <code>rubbish here</code>" in text
    assert "Line 5:" in text
    assert lines in text
    assert by_email("dora@people.test") is None
    good = lines.replace("rubbish here\n", "").replace("\n<x@y.z>", "")
    status, text = post(client, path, company_id=cast.a.id, lines=good)
    assert status == 200
    assert "Invite 2 people" in text
    assert "The same address as line 1." in text
    assert by_email("dora@people.test") is None
    (seal,) = re.findall(r'name="agreed" value="([0-9a-f]{64})"', text)
    assert post(client, path, company_id=cast.a.id, lines=good, agreed=seal)[0] == 303
    dora = by_email("dora@people.test")
    assert dora is not None
    assert {dora, cast.charlie} <= set(people_of(cast.a.id))
    assert (letters(dora), letters(cast.charlie)) == ([Letter.INVITATION], [Letter.MEMBERSHIP])


def test_a_plan_that_changed_since_it_was_shown_is_shown_again(cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.root), f"{LIST}/invite?many=1"
    lines = "Dora <dora@people.test>"
    _, text = post(client, path, company_id=cast.a.id, lines=lines)
    (seal,) = re.findall(r'name="agreed" value="([0-9a-f]{64})"', text)
    accounts.add_person("Dora", "dora@people.test", by=SYSTEM, now=NOW)
    db.session.commit()
    status, text = post(client, path, company_id=cast.a.id, lines=lines, agreed=seal)
    assert status == 200
    assert "Acts for Alder Dental too" in text
    assert by_email("dora@people.test") not in people_of(cast.a.id)


def test_too_many_lines_and_none_are_refused_with_what_was_typed(cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.root), f"{LIST}/invite?many=1"
    lines = "\n".join(f"P{n} <p{n}@x.example>" for n in range(201))
    status, text = post(client, path, company_id=cast.a.id, lines=lines)
    assert (status, "At most 200" in text, "p200@x.example" in text) == (422, True, True)
    assert post(client, path, company_id=cast.a.id, lines=" \n ")[0] == 422
    for wrong in ({"name": "", "email": "a@b.example"}, {"name": "A", "email": "nobody"}, {"name": "A", "email": ""}):
        assert post(client, f"{LIST}/invite", company_id=cast.a.id, **wrong)[0] == 422


def test_a_company_is_found_by_its_name_and_offered_when_unclear(cast: Cast, sign_in: SignIn) -> None:
    accounts.add_company("Alder Books", by=SYSTEM, now=NOW)
    db.session.commit()
    client, fields = sign_in(cast.root), {"name": "Dora", "email": "dora@people.test"}
    status, text = post(client, f"{LIST}/invite", company="alder", **fields)
    assert (status, "Which of these do you mean?" in text) == (422, True)
    assert f'name="company_id" value="{cast.a.id}"' in text
    assert "dora@people.test" in text
    assert post(client, f"{LIST}/invite", company="No such firm", **fields)[0] == 422
    assert post(client, f"{LIST}/invite", company_id="2147483999", **fields)[0] == 422
    assert post(client, f"{LIST}/invite", company="ALDER  dental", **fields)[0] == 303
    assert by_email("dora@people.test") in people_of(cast.a.id)


def test_staff_are_invited_with_a_role_and_customers_are_not_made_staff_that_way(cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.root), f"{LIST}/invite/staff"
    assert post(client, path, name="Stan", email="stan@people.test", role="status")[0] == 303
    stan = by_email("stan@people.test")
    assert stan is not None
    assert (stan.role, letters(stan)) == (Role.STATUS, [Letter.INVITATION])
    status, text = post(client, path, name="Alice", email="alice@people.test", role="admin")
    assert (status, "Change the role on their page" in text) == (422, True)
    assert by_email("alice@people.test").role is None  # type: ignore[union-attr]
    assert post(client, path, name="X", email="x@people.test", role="king")[0] == 422
    assert post(client, path, name="X", email="x@people.test", role="customer")[0] == 422


def test_an_invitation_is_sent_again_and_withdrawn(cast: Cast, sign_in: SignIn) -> None:
    cast.bob.password_hash = None
    db.session.commit()
    client, base = sign_in(cast.root), f"{LIST}/{cast.bob.id}"
    assert "Not invited" in page(client, base)
    for _ in range(2):
        assert post(client, f"{base}/invitation")[0] == 303
    assert "Send the invitation again" in page(client, base)
    links = select(MailedLink).where(MailedLink.person_id == cast.bob.id, MailedLink.purpose == Purpose.INVITATION)
    assert [link.revoked_at is None for link in db.session.scalars(links.order_by(MailedLink.id))] == [False, True]
    assert post(client, f"{base}/invitation/withdraw")[0] == 303
    db.session.expire_all()
    assert all(link.revoked_at for link in db.session.scalars(links))
    assert "Not invited" in page(client, base)
    assert len(audited("person.invite")) == 2
    assert len(audited("person.withdraw_invitation")) == 1
    assert post(client, f"{LIST}/{cast.alice.id}/invitation")[0] == 422


# Roles.


def test_every_permission_has_a_sentence_and_every_role_a_word(cast: Cast, sign_in: SignIn) -> None:
    """Whoever adds a permission says in a plain sentence what it allows."""
    assert set(PERMISSION_WORDS) == set(Permission)
    assert set(ROLE_WORDS) == {None, *Role}
    assert all(name and sentence.endswith(".") for name, sentence in PERMISSION_WORDS.values())
    assert len({name for name, _ in PERMISSION_WORDS.values()}) == len(Permission)


def test_the_table_of_rights_shown_is_the_one_in_force(cast: Cast, sign_in: SignIn) -> None:
    text = page(sign_in(cast.olaf), f"{LIST}/roles")
    rows = re.findall(r'<tr><th scope="row"[^>]*>([^<]+)<span.*?</tr>', text, re.DOTALL)
    assert sorted(rows) == sorted(name for name, _ in PERMISSION_WORDS.values())
    for permission, (name, sentence) in PERMISSION_WORDS.items():
        row = next(part for part in text.split("<tr>") if f">{name}<span" in part)
        assert sentence in row
        said = [word == "yes" for word in re.findall(r'class="visually-hidden">(yes|no)<', row)]
        assert said == [permission in ALLOWED[role] for role in Role]


def test_a_role_change_signs_out_and_is_audited(cast: Cast, sign_in: SignIn) -> None:
    client, ada, base = sign_in(cast.root), sign_in(cast.ada), f"{LIST}/{cast.ada.id}"
    assert ada.get("/admin/").status_code == 200
    assert post(client, f"{base}/role", role="office", version=cast.ada.version)[0] == 303
    assert ada.get("/admin/").status_code == 302
    entry = audited("person.role")[-1]
    assert (entry.before, entry.after, entry.actor_id) == ({"role": "status"}, {"role": "office"}, cast.root.id)
    assert post(client, f"{base}/role", role="customer", version=by_email("ada@people.test").version)[0] == 303  # type: ignore[union-attr]
    assert by_email("ada@people.test").role is None  # type: ignore[union-attr]
    assert post(client, f"{base}/role", role="status", version=1)[0] == 409
    assert post(client, f"{base}/role", role="status", version=by_email("ada@people.test").version)[0] == 303  # type: ignore[union-attr]
    assert by_email("ada@people.test").role is Role.STATUS  # type: ignore[union-attr]


def test_nobody_changes_their_own_role_and_the_last_admin_stays(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    own = f"{LIST}/{cast.root.id}"
    status, text = post(client, f"{own}/role", role="office", version=cast.root.version)
    assert (status, "Nobody changes their own role" in text) == (422, True)
    assert post(client, f"{own}/deactivate", version=cast.root.version)[0] == 422
    cast.ada.role = Role.ADMIN
    db.session.commit()
    other = sign_in(cast.ada)
    assert post(other, f"{own}/role", role="office", version=cast.root.version)[0] == 303
    cast.ada.deactivated_at = None
    db.session.commit()
    assert by_email("root@people.test").role is Role.OFFICE  # type: ignore[union-attr]
    with pytest.raises(Exception, match="last administrator"):
        accounts.deactivate_person(cast.ada, version=cast.ada.version, by=SYSTEM, now=NOW)


# What the buttons do.


def test_sessions_are_ended_one_and_all(cast: Cast, sign_in: SignIn) -> None:
    client, first, second = sign_in(cast.root), sign_in(cast.alice), sign_in(cast.alice)
    base = f"{LIST}/{cast.alice.id}"
    mine = select(Session.id).where(Session.person_id == cast.alice.id).order_by(Session.id)
    one, other = db.session.scalars(mine).all()
    assert post(client, f"{base}/sessions/{one}/end")[0] == 303
    assert (first.get("/").status_code, second.get("/").status_code) == (302, 200)
    assert post(client, f"{LIST}/{cast.bob.id}/sessions/{other}/end")[0] == 404
    assert post(client, f"{base}/sessions/end")[0] == 303
    assert second.get("/").status_code == 302


def test_a_second_factor_is_removed_and_its_owner_told(cast: Cast, sign_in: SignIn) -> None:
    db.session.add(SecondFactor(person_id=cast.ada.id, sealed_secret="x", created_at=NOW, confirmed_at=NOW))
    db.session.commit()
    client, ada = sign_in(cast.root), sign_in(cast.ada)
    assert "Remove the second factor" in page(client, f"{LIST}/{cast.ada.id}")
    assert post(client, f"{LIST}/{cast.ada.id}/second-factor/remove")[0] == 303
    assert db.session.get(SecondFactor, cast.ada.id) is None
    assert ada.get("/admin/").status_code == 302
    assert letters(cast.ada) == [Letter.SECOND_FACTOR_OFF]
    assert [entry.actor_id for entry in audited("second-factor.remove")] == [cast.root.id]


def test_mails_are_told_and_a_suppression_is_lifted(cast: Cast, sign_in: SignIn) -> None:
    now = clock.utcnow()
    for reason in (SuppressionReason.HARD_BOUNCE, SuppressionReason.UNSUBSCRIBED):
        suppress(cast.alice.email, "incidents", reason, now=now, detail="550 no such user")
    db.session.commit()
    bounced, left = db.session.scalars(select(Suppression.id).order_by(Suppression.id)).all()
    client, base = sign_in(cast.root), f"{LIST}/{cast.alice.id}"
    text = page(client, base)
    assert "The address bounced" in text
    assert "550 no such user" in text
    assert f"{base}/suppressions/{bounced}/lift" in text
    assert f"{base}/suppressions/{left}/lift" not in text
    why = "The mailbox is back."
    assert post(client, f"{LIST}/{cast.bob.id}/suppressions/{bounced}/lift", why=why)[0] == 404
    assert post(client, f"{base}/suppressions/{left}/lift", why=why)[0] == 422
    assert post(client, f"{base}/suppressions/{bounced}/lift")[0] == 422
    assert post(client, f"{base}/suppressions/{bounced}/lift", why=why)[0] == 303
    assert db.session.scalars(select(Suppression.id)).all() == [left]
    (entry,) = audited("suppression.lift")
    assert entry.before is not None
    assert entry.before["reason"] == "hard_bounce"


def test_companies_are_added_and_removed_on_the_page(cast: Cast, sign_in: SignIn) -> None:
    client, base = sign_in(cast.root), f"{LIST}/{cast.alice.id}"
    assert post(client, f"{base}/companies", company="nowhere")[0] == 422
    assert post(client, f"{base}/companies", company="Alder Dental")[0] == 422
    assert post(client, f"{base}/companies", company="birch logistics")[0] == 303
    assert cast.alice in people_of(cast.b.id)
    assert letters(cast.alice) == [Letter.MEMBERSHIP]
    assert post(client, f"{base}/companies/4711/remove", version=1)[0] == 404
    assert post(client, f"{base}/companies/{cast.a.id}/remove", version=1)[0] == 303
    count = select(func.count()).select_from(Membership).where(Membership.person_id == cast.alice.id)
    assert db.session.scalar(count) == 1


def test_deactivating_says_what_it_touches_and_letting_in_again_works(cast: Cast, sign_in: SignIn) -> None:
    client, base = sign_in(cast.root), f"{LIST}/{cast.alice.id}"
    sign_in(cast.alice)
    sign_in(cast.alice)
    assert "2 sessions, 0 mailed links and 0 API tokens end" in page(client, base)
    assert post(client, f"{base}/deactivate", version=cast.alice.version)[0] == 303
    text = page(client, base)
    assert "Deactivated" in text
    assert "Let them in again" in text
    assert post(client, f"{base}/reactivate", version=by_email("alice@people.test").version)[0] == 303  # type: ignore[union-attr]
    assert by_email("alice@people.test").deactivated_at is None  # type: ignore[union-attr]


def test_a_profile_is_edited_by_version(cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.root), f"{LIST}/{cast.alice.id}/edit"
    fields = {"name": "Alicia", "language": "de", "time_zone": "Europe/Berlin", "version": cast.alice.version}
    assert post(client, path, **fields)[0] == 303
    assert post(client, path, **fields)[0] == 409
    assert post(client, path, **{**fields, "language": "tlh"})[0] == 422
    alice = by_email("alice@people.test")
    assert alice is not None
    assert (alice.name, alice.language, alice.time_zone) == ("Alicia", "de", "Europe/Berlin")


def test_a_mistyped_address_is_corrected_until_its_owner_has_signed_in(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    dora = accounts.add_person("Dora", "dora@wrnog.test", by=SYSTEM, now=clock.utcnow())
    accounts.add_membership(dora, cast.a, by=SYSTEM, now=clock.utcnow())
    accounts.invite(dora, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    path = f"{LIST}/{dora.id}/edit"
    profile = {"name": "Dora", "language": "en", "time_zone": "Europe/London"}
    for wrong in ("nonsense", cast.bob.email.upper()):
        status, text = post(client, path, **profile, email=wrong, version=dora.version)
        assert status == 422
        assert wrong in text
    assert dora.email == "dora@wrnog.test"
    assert post(client, path, **profile, email="dora@right.test", version=dora.version)[0] == 303
    first, second = db.session.scalars(
        select(MailedLink).where(MailedLink.person_id == dora.id).order_by(MailedLink.id)
    )
    assert first.revoked_at is not None
    assert (second.address, second.revoked_at) == ("dora@right.test", None)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "person.email-correct")).one()
    assert (entry.before, entry.after) == ({"email": "dora@wrnog.test"}, {"email": "dora@right.test"})
    # Whoever has a password changes their address themselves, whatever a form says.
    kept = {**profile, "name": "Alice", "email": "mallory@evil.test", "version": cast.alice.version}
    assert post(client, f"{LIST}/{cast.alice.id}/edit", **kept)[0] == 303
    assert cast.alice.email != "mallory@evil.test"


def test_the_last_sign_in_outlives_its_session(cast: Cast, sign_in: SignIn) -> None:
    version = cast.alice.version
    sign_in(cast.alice)
    assert retention.forget_some("sessions", clock.utcnow() + timedelta(days=400)) >= 1
    db.session.commit()
    db.session.expire_all()
    assert db.session.scalars(select(Session).where(Session.person_id == cast.alice.id)).all() == []
    assert cast.alice.last_signed_in_at is not None
    assert cast.alice.version == version


def test_whoever_joins_is_mailed_from_the_portal_they_join(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    assert post(client, f"{LIST}/{cast.alice.id}/companies", company="birch logistics")[0] == 303
    assert post(client, f"{LIST}/invite/staff", name="Stan", email="stan@people.test", role="office")[0] == 303
    write_account_mails(clock.utcnow())
    mails = db.session.execute(select(Delivery.address, Delivery.values, Broadcast.content).join(Delivery.broadcast))
    told = {address: (values, content["en"]["text"]) for address, values, content in mails}
    values, text = told["alice@people.test"]
    assert (values["company"], values["brand"]) == ("Birch Logistics", "Southline")
    assert values["portal_url"] == "http://b.portal.test"
    assert "{{address}} acts for {{company}} at {{brand}} too" in text
    assert told["stan@people.test"][0]["portal_url"] == f"http://{STAFF_HOST}"
