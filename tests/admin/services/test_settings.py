"""How statuses are told, what customers see of their services, and how it looks: set, refused, heard at once."""

import re
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.extensions import db
from portal.services import actions
from portal.services.models import ServiceView
from portal.services.queries import service_lines
from portal.services.queries.settings import own_view, settings, view_of
from portal.services.rules import Scope, ServiceStatus, Wanted
from tests.conftest import Cast, SignIn, counted_queries, token_in
from tests.incidents.conftest import World

PAGE = "/admin/settings/services"
TYPED = {
    "system_is_down": "10",
    "intermittent_problems": "20",
    "operating_normally": "2",
    "scheduled_service": "72",
    "reminder": "12",
    "digest_over": "5",
}
ALL_SHOWN = {"shows_notes": "y", "shows_history": "y", "shows_tickets": "y", "shows_end_times": "y"}


def post(client: FlaskClient, path: str, page: str, **fields: Any) -> Any:
    return client.post(path, data={"csrf_token": token_in(client, page), **fields})


def version_on(client: FlaskClient, path: str, form: str) -> str:
    page = client.get(path).text
    inside = page[page.index(form) :]
    found = re.search(r'name="version"[^>]*value="(\d*)"', inside)
    assert found is not None
    return found[1]


class TestTold:
    """How soon, in how many mails, how long ahead."""

    def test_what_is_saved_is_what_counts(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        assert post(client, PAGE, PAGE, version="0", **TYPED).status_code == 303
        usual = settings()
        assert usual.targets[ServiceStatus.DOWN] == timedelta(minutes=10)
        assert usual.targets[ServiceStatus.SCHEDULED] == timedelta(hours=72)
        assert (usual.reminder, usual.digest_over) == (timedelta(hours=12), 5)
        (entry,) = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "service_settings.edit"))
        assert entry.before is not None
        assert entry.after is not None
        assert (entry.before["digest_over"], entry.after["digest_over"]) == (3, 5)

    def test_what_cannot_be_is_refused_beside_its_field(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        for field, bad in (
            ("digest_over", "0"),
            ("digest_over", "x"),
            ("digest_over", "99999999999999999999"),
            ("reminder", "-1"),
            ("reminder", "2000"),
            ("system_is_down", "0"),
            ("scheduled_service", "99999"),
        ):
            answer = post(client, PAGE, PAGE, version="0", **{**TYPED, field: bad})
            assert answer.status_code == 422, (field, bad)
            assert f'id="{field}-error"' in answer.text, (field, bad)
        assert settings().version == 0

    def test_a_stale_save_is_told_and_keeps_what_was_typed(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        post(client, PAGE, PAGE, version="0", **TYPED)
        answer = post(client, PAGE, PAGE, version="0", **{**TYPED, "digest_over": "9"})
        assert answer.status_code == 409
        assert 'value="9"' in answer.text
        assert settings().digest_over == 5
        version = version_on(client, PAGE, "service-settings")
        assert post(client, PAGE, PAGE, version=version, **{**TYPED, "digest_over": "9"}).status_code == 303
        assert settings().digest_over == 9

    def test_the_office_may_not(self, cast: Cast, sign_in: SignIn) -> None:
        assert sign_in(cast.olaf).get(PAGE).status_code == 403


def base_of(cast: Cast) -> str:
    return f"/admin/settings/portals/{cast.domain_a.id}/services"


class TestSeen:
    """What customers of a portal domain see of their services, with exceptions."""

    def down(self, cast: Cast, world: World) -> None:
        actions.set_status(
            [world.holding_a.id],
            Wanted(ServiceStatus.DOWN, "The switch has failed.", ticket="T-77", notify=False),
            scope=Scope.ONE,
            chosen={},
            by=SYSTEM,
            author_id=None,
            now=clock.utcnow(),
            idempotency_key="down",
        )
        events.commit()

    def test_it_counts_at_once_for_the_domain_and_nobody_else(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        self.down(cast, world)
        root, base = sign_in(cast.root), base_of(cast)
        assert "The switch has failed." in sign_in(cast.alice).get("/services").text
        shown = {**ALL_SHOWN, "version": "0"}
        del shown["shows_notes"], shown["shows_tickets"]
        with_bells = events.versions_of([events.public_topic(cast.domain_a.id)])
        assert post(root, base, base, **shown).status_code == 303
        assert events.versions_of([events.public_topic(cast.domain_a.id)]) != with_bells
        (line,) = service_lines(cast.a.id, clock.utcnow())
        assert (line.notes, line.ticket, line.status) == ("", "", ServiceStatus.DOWN)
        assert "The switch has failed." not in sign_in(cast.alice).get("/services").text
        assert view_of(cast.domain_b.id, cast.b.id).shows_notes

    def test_a_service_that_is_left_out_has_no_line(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        post(root, base, base, **ALL_SHOWN, version="0", hidden=[str(world.telephony.id)])
        assert service_lines(cast.a.id, clock.utcnow()) == []
        page = root.get(base).text
        assert f'value="{world.telephony.id}" checked' in page
        assert post(root, base, base, **ALL_SHOWN, version="1", hidden=["999999"]).status_code == 422

    def test_a_company_is_an_exception_until_it_is_taken_away(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        own = f"{base}/companies/{cast.a.id}"
        assert post(root, base, base, version="0", shows_notes="y").status_code == 303
        rung = events.versions_of([events.company_topic(cast.a.id)])
        assert post(root, own, own, version="0", **ALL_SHOWN).status_code == 303
        assert events.versions_of([events.company_topic(cast.a.id)]) != rung
        assert view_of(cast.domain_a.id, cast.a.id).shows_history
        assert not view_of(cast.domain_a.id, None).shows_history
        assert "sees what is set for it alone" in root.get(base).text
        assert post(root, f"{own}/remove", own, version="7").status_code == 409
        assert post(root, f"{own}/remove", own, version="1").status_code == 303
        assert own_view(cast.domain_a.id, cast.a.id) is None
        assert not view_of(cast.domain_a.id, cast.a.id).shows_history
        told = [
            each.action
            for each in db.session.scalars(
                select(AuditEntry).where(AuditEntry.action.like("service_view.%")).order_by(AuditEntry.id)
            )
        ]
        assert told == ["service_view.edit", "service_view.edit", "service_view.remove"]

    def test_a_stale_save_is_told_and_keeps_what_was_typed(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        post(root, base, base, version="0", shows_notes="y")
        answer = post(root, base, base, version="0", shows_tickets="y")
        assert answer.status_code == 409
        assert "Somebody else changed this" in answer.text
        assert view_of(cast.domain_a.id, None).shows_notes
        assert version_on(root, base, "view-form") == "1"

    def test_two_who_begin_at_once_make_one_row(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        post(root, base, base, version="0", **ALL_SHOWN)
        assert post(root, base, base, version="0", **ALL_SHOWN).status_code == 409
        assert db.session.query(ServiceView).count() == 1

    def test_the_preview_is_the_customers_list_and_writes_nothing(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        self.down(cast, world)
        cast.domain_a.wordings = {"en": {"service.system_is_down": "Out of order"}}
        db.session.commit()
        root, base = sign_in(cast.root), base_of(cast)
        page = root.get(base).text
        assert "Alder Dental · Northline" in page
        assert "Out of order" in page
        assert "The switch has failed." in page
        typed = post(root, f"{base}/preview", base, version="0", shows_history="y")
        assert typed.status_code == 200
        assert "Out of order" in typed.text
        assert "The switch has failed." not in typed.text
        assert "T-77" not in typed.text
        assert "Out of order" not in post(root, f"{base}/preview", base, version="0", show_as="nobody").text
        assert db.session.query(ServiceView).count() == 0

    def test_only_companies_of_the_domain_can_differ_there(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        assert root.get(f"{base}/companies/{cast.b.id}").status_code == 404
        assert root.get(f"{base}/companies/999999").status_code == 404
        assert "Birch" not in root.get(f"{base}?q=birch").text.split('id="exceptions"')[1]
        assert "Make it different for Alder Dental" in root.get(f"{base}?q=ald").text

    def test_whoever_may_not_edit_portals_may_not_see_it(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        base = base_of(cast)
        for person in (cast.ada, cast.olaf):
            client = sign_in(person)
            for path in (base, f"{base}/companies/{cast.a.id}", f"{base}/1.css"):
                assert client.get(path).status_code == 403, path

    def test_queries_do_not_grow_with_companies(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        root.get(base)

        def queries() -> int:
            with counted_queries() as statements:
                assert root.get(base).status_code == 200
            return len(statements)

        few = queries()
        for number in range(60):
            added = accounts.add_company(f"Company {number}", by=SYSTEM, now=clock.utcnow())
            domains.admit(added, cast.domain_a, is_home=True, by=SYSTEM, now=clock.utcnow())
            db.session.add(ServiceView(domain_id=cast.domain_a.id, company_id=added.id, hidden_services=[]))
        db.session.commit()
        assert queries() <= few
        assert "The first 50 of 60" in root.get(base).text


class TestColours:
    """The colours of the statuses on one portal domain."""

    def test_they_are_saved_shown_and_taken_back(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        version = version_on(root, base, 'action="' + base + '/colours"')
        typed = {"own_system_is_down": "y", "color_system_is_down": "#8b1e5f", "color_scheduled_service": "#000000"}
        assert post(root, f"{base}/colours", base, version=version, **typed).status_code == 303
        db.session.expire_all()
        assert cast.domain_a.status_colors == {"system_is_down": "#8b1e5f"}
        sheet = re.search(rf'href="({base}/\d+\.css)"', root.get(base).text)
        assert sheet is not None
        assert ".as-customers .service-system-is-down{--tone:#8b1e5f" in root.get(sheet[1]).text
        assert "--tone:#8b1e5f" in self.customers_sheet(sign_in(cast.alice))
        assert post(root, f"{base}/colours", base, version=version, **typed).status_code == 409
        version = version_on(root, base, 'action="' + base + '/colours"')
        assert post(root, f"{base}/colours", base, version=version).status_code == 303
        db.session.expire_all()
        assert cast.domain_a.status_colors == {}

    def customers_sheet(self, client: FlaskClient) -> str:
        page = client.get("/services").text
        found = re.search(r'href="(/static/brand/[^"]+)"', page)
        assert found is not None
        return client.get(found[1]).text

    def test_what_is_no_colour_or_that_of_another_is_refused(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        root, base = sign_in(cast.root), base_of(cast)
        version = version_on(root, base, 'action="' + base + '/colours"')
        for bad in ("red", "", "#12345"):
            answer = post(
                root,
                f"{base}/colours",
                base,
                version=version,
                own_system_is_down="y",
                color_system_is_down=bad,
            )
            assert answer.status_code == 422, bad
            assert "written like #2457d6" in answer.text, bad
        same = {
            f"{part}_{status}": value
            for status in ("scheduled_service", "system_is_down")
            for part, value in (("own", "y"), ("color", "#8b1e5f"))
        }
        assert post(root, f"{base}/colours", base, version=version, **same).status_code == 422

    def test_a_colour_that_hardly_shows_is_moved_and_said_so(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        cast.domain_a.status_colors = {"scheduled_service": "#fff3b0"}
        db.session.commit()
        assert "#fff3b0 hardly shows" in sign_in(cast.root).get(base_of(cast)).text
