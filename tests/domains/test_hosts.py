"""The names of a portal domain: unique, leading to the main one, and asked whether they lead here."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.serving import make_server

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.domains import actions
from portal.domains.checks import ask_host
from portal.domains.models import PortalDomain, PortalHost
from portal.domains.queries import domain_by_host
from portal.domains.queries.hosts import checks_wait, hosts_of
from portal.domains.rules.hosts import HOSTS_AT_MOST, Finding, check_answer, check_key, find
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from tests.conftest import NOW, STAFF_HOST, Cast
from workers import tasks

BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}
KEY = check_key("k" * 40)


def add(domain: PortalDomain, host: str, **changes: Any) -> PortalHost:
    given: dict[str, Any] = {"staff_host": STAFF_HOST, "version": domain.version, **BY} | changes
    return actions.add_host(domain, host, **given)


def move(domain: PortalDomain, base_url: str) -> None:
    look = {name: getattr(domain, name) for name in ("accent", "language", "time_zone")}
    support = {name: getattr(domain, name) for name in ("support_email", "support_phone", "support_hours", "help_url")}
    actions.edit_domain(domain, base_url, domain.brand, version=domain.version, **look, **support, **BY)


def names(domain: PortalDomain) -> list[str]:
    return [each.host for each in hosts_of(domain)]


def test_a_domain_is_found_by_each_of_its_names(cast: Cast) -> None:
    add(cast.domain_a, "WWW.a.portal.test.")
    for host in ("a.portal.test", "www.a.portal.test"):
        found = domain_by_host(host)
        assert found is not None
        assert (found.id, found.brand) == (cast.domain_a.id, cast.domain_a.brand)
    assert domain_by_host("x.portal.test") is None
    assert names(cast.domain_a) == ["a.portal.test", "www.a.portal.test"]


@pytest.mark.parametrize(
    "host",
    ["", " ", "https://c.portal.test", "c.portal.test:8443", "c.portal.test/x", "a_b.test", "user@c.test",
     "bücher.example", "127.0.0.1", "[::1]", "-c.test", "x" * 254, STAFF_HOST, f"{STAFF_HOST.upper()}.",
     "a.portal.test", "b.portal.test", "B.PORTAL.TEST"],
)  # fmt: skip
def test_a_name_that_cannot_be_is_refused_beside_its_field(cast: Cast, host: str) -> None:
    """Among them the staff host, the domain's own main name, and that of another domain."""
    with pytest.raises(RuleViolation) as refusal:
        add(cast.domain_a, host)
    assert refusal.value.field == "host"
    assert names(cast.domain_a) == ["a.portal.test"]


def test_a_name_belongs_to_one_domain_as_further_name_too(cast: Cast) -> None:
    add(cast.domain_a, "c.portal.test")
    for refused in (
        lambda: add(cast.domain_b, "c.portal.test"),
        lambda: actions.add_domain("https://c.portal.test", "C", areas=[], **BY),
        lambda: move(cast.domain_b, "https://c.portal.test"),
    ):
        with pytest.raises(RuleViolation, match="already a name"):
            refused()


def test_a_domain_has_so_many_names_and_no_more(cast: Cast) -> None:
    for number in range(HOSTS_AT_MOST - 1):
        add(cast.domain_a, f"n{number}.portal.test")
    with pytest.raises(RuleViolation, match="at most"):
        add(cast.domain_a, "more.portal.test")


def test_a_main_name_that_is_replaced_leads_to_the_new_one(cast: Cast) -> None:
    move(cast.domain_a, "https://new.portal.test:8443")
    assert names(cast.domain_a) == ["new.portal.test", "a.portal.test"]
    move(cast.domain_a, "https://a.portal.test")
    assert names(cast.domain_a) == ["a.portal.test", "new.portal.test"]


def test_the_main_name_cannot_be_taken_away_and_others_can(cast: Cast) -> None:
    added = add(cast.domain_a, "c.portal.test")
    main = hosts_of(cast.domain_a)[0].id
    with pytest.raises(RuleViolation, match="main name"):
        actions.remove_host(cast.domain_a, main, version=cast.domain_a.version, **BY)
    with pytest.raises(NotFound):
        actions.remove_host(cast.domain_b, added.id, version=cast.domain_b.version, **BY)
    assert actions.remove_host(cast.domain_a, added.id, version=cast.domain_a.version, **BY) == "c.portal.test"
    add(cast.domain_b, "c.portal.test")
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action.like("portal.%_host"))).all()
    assert [(each.action, each.before, each.after) for each in entries] == [
        ("portal.add_host", None, {"host": "c.portal.test"}),
        ("portal.remove_host", {"host": "c.portal.test"}, None),
        ("portal.add_host", None, {"host": "c.portal.test"}),
    ]


def test_who_saw_an_older_list_is_told(cast: Cast) -> None:
    opened = cast.domain_a.version
    added = add(cast.domain_a, "c.portal.test")
    for stale in (
        lambda: add(cast.domain_a, "d.portal.test", version=opened),
        lambda: actions.remove_host(cast.domain_a, added.id, version=opened, **BY),
        lambda: actions.set_areas(cast.domain_a, [], version=opened, **BY),
    ):
        with pytest.raises(StaleEdit):
            stale()


# Asking a name.


def test_an_answer_is_ours_under_this_name_under_another_or_not() -> None:
    nonce, host, others = "n" * 32, "c.portal.test", ("localhost", "")
    assert find(check_answer(KEY, nonce, host) + "\n", KEY, nonce, host, others) is Finding.REACHES_US
    assert find(check_answer(KEY, nonce, "localhost"), KEY, nonce, host, others) is Finding.HIDDEN_NAME
    for wrong in (
        "", "ü", check_answer(KEY, "m" * 32, host), check_answer(KEY, nonce, "evil.test"),
        check_answer(check_key("x" * 40), nonce, host), check_answer(KEY, nonce, host)[:-1],
    ):  # fmt: skip
        assert find(wrong, KEY, nonce, host, others) is Finding.ELSEWHERE


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    """The product itself, listening on this machine."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.port
    server.shutdown()


def test_a_name_that_leads_here_is_told_from_one_that_leads_elsewhere(settings: Settings, port: int) -> None:
    ours = replace(settings, base_url=f"http://localhost:{port}")
    address = f"http://it.localhost:{port}"
    assert ask_host("it.localhost", address, ours).finding is Finding.REACHES_US
    other_key = replace(ours, secret_key="another installation's key, 32 bytes")
    found = ask_host("it.localhost", address, other_key)
    assert found.finding is Finding.ELSEWHERE
    assert "(200)" in found.detail


def test_only_addresses_our_own_host_has_are_asked_beside_public_ones(settings: Settings, port: int) -> None:
    """An admin cannot look around in the network with the check: 127.0.0.1 is not where this installation lives."""

    def lookup(host: str, _port: int, _seconds: float) -> list[ipaddress.IPv4Address]:
        return [ipaddress.IPv4Address("127.0.0.1" if host == "it.localhost" else "10.1.1.1")]

    ours = replace(settings, base_url=f"http://portal.example.com:{port}")
    for host in ("it.localhost", "127.0.0.1"):
        found = ask_host(host, f"http://it.localhost:{port}", ours, lookup)
        assert found.finding is Finding.NOT_PUBLIC
        assert "127.0.0.1" in found.detail


def test_the_task_asks_what_waits_once_and_stores_what_it_found(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    added = add(cast.domain_a, "c.portal.test")
    actions.want_check(cast.domain_a, added.id, **BY)
    actions.want_check(cast.domain_a, added.id, **BY)
    db.session.commit()
    assert checks_wait()
    tasks.check_hosts()
    assert not checks_wait()
    found = db.session.get_one(PortalHost, added.id, populate_existing=True)
    assert (found.finding, found.check_began_at) == (Finding.UNRESOLVED, None)
    assert found.checked_at is not None
    assert "does not resolve" in (found.detail or "")
    checks = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "portal.check_host")).all()
    assert len(checks) == 1


def test_a_check_is_taken_up_by_one_and_again_when_that_one_died(cast: Cast) -> None:
    host_id = hosts_of(cast.domain_a)[0].id
    actions.want_check(cast.domain_a, host_id, **BY)
    assert actions.begin_check(NOW) == host_id
    assert actions.begin_check(NOW + timedelta(seconds=30)) is None
    assert actions.begin_check(NOW + timedelta(seconds=61)) == host_id
    actions.store_check(host_id, Finding.REACHES_US, "x" * 400, NOW, now=NOW)
    assert actions.begin_check(NOW + timedelta(hours=1)) is None
    actions.store_check(999_999, Finding.REACHES_US, "", None, now=NOW)
