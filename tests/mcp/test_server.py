"""The server of assistants as it is run, asked by a client of the official SDK."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.tokens import make_token
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding, Service
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.services.actions import set_status
from portal.services.actions.assistant import set_assistant
from portal.services.queries.settings import settings
from portal.services.rules import Scope as StatusScope
from portal.services.rules import ServiceStatus, Wanted
from tests.support.processes import free_port, pss_of, wait_until
from tests.support.product import EXECUTABLE, Portal

pytestmark = pytest.mark.processes

PATIENCE = 10
"""Seconds; ten times as many as switching off takes at most."""


def apart(work: Callable[[], Awaitable[Any]]) -> Any:
    """What comes of this in a loop of its own thread: a browser that was driven in this one has left its loop here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, work).result()


@dataclass
class Office:
    """A started installation where company A's email is down and B has only telephony, with a token of each."""

    portal: Portal
    port: int
    token_a: str
    token_b: str
    token_of_staff: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def switch(self, is_on: bool) -> None:
        with self.portal.database():
            set_assistant(is_on, version=settings().version, by=SYSTEM, now=clock.utcnow())
            events.commit()

    def answers(self) -> bool:
        try:
            return self.post(self.token_a).status in {200, 400, 406}
        except OSError:
            return False

    def post(self, token: str, **headers: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            sent = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **headers}
            connection.request("POST", "/mcp", "{}", sent)
            answer = connection.getresponse()
            answer.text = answer.read().decode()  # type: ignore[attr-defined]
            return answer
        finally:
            connection.close()

    @asynccontextmanager
    async def client(self, token: str) -> AsyncIterator[Client]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=10) as http,
            Client(streamable_http_client(self.url, http_client=http)) as client,
        ):
            yield client

    def ask(self, token: str, work: Callable[[Client], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with self.client(token) as client:
                return await work(client)

        return apart(run)

    def told(self, token: str, question: str, **more: Any) -> dict[str, Any]:
        result = self.ask(token, lambda client: client.call_tool("service_status", {"question": question, **more}))
        assert not result.is_error, result.content
        found: dict[str, Any] = result.structured_content
        return found


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    port = free_port()
    with Portal(environment={"PORTAL_MCP_PORT": str(port)}) as portal:
        with portal.database():
            now = clock.utcnow()
            domain = domains.add_domain("http://a.portal.test", "Northline", areas=set(Area), by=SYSTEM, now=now)
            tokens = []
            services = {}
            for name in ("Email", "Telephony"):
                services[name] = Service(name=name, name_key=name.lower(), aliases=[f"{name} alias"], created_at=now)
            db.session.add_all(services.values())
            for name, held in (("Alder Dental", ("Email", "Telephony")), ("Birch Logistics", ("Telephony",))):
                company = accounts.add_company(name, by=SYSTEM, now=now)
                domains.admit(company, domain, is_home=True, by=SYSTEM, now=now)
                db.session.flush()
                rows = [
                    Holding(
                        company_id=company.id,
                        service_id=services[each].id,
                        reference="",
                        valid_from=now - timedelta(days=1),
                    )
                    for each in held
                ]
                db.session.add_all(rows)
                db.session.flush()
                tokens.append(make_token(name, Scope.READ, company=company, by=SYSTEM, now=now)[1])
                if name.startswith("Alder"):
                    set_status(
                        [rows[0].id],
                        Wanted(ServiceStatus.DOWN, "We **know** and work on it.", notify=False),
                        scope=StatusScope.ONE,
                        chosen={},
                        by=SYSTEM,
                        author_id=None,
                        now=now,
                        idempotency_key="down",
                    )
            tokens.append(make_token("Office", Scope.ADMIN, company=None, by=SYSTEM, now=now)[1])
            events.commit()
        yield Office(portal, port, *tokens)


@pytest.fixture
def is_on(office: Office) -> Iterator[None]:
    office.switch(True)
    wait_until(office.answers, 20, "an answer to an assistant")
    yield
    office.switch(False)


def test_it_runs_just_while_the_setting_is_on(office: Office) -> None:
    assert "mcp" not in office.portal.pids()
    office.switch(True)
    wait_until(lambda: "mcp" in office.portal.pids(), 10, "the server")
    wait_until(office.answers, 20, "an answer to an assistant")
    assert pss_of([office.portal.pids()["mcp"]]) < 120_000_000
    office.switch(False)
    began = time.monotonic()
    refusal = office.post(office.token_a)
    assert time.monotonic() - began < 1
    assert refusal.status == 404
    assert "switched off" in refusal.text
    wait_until(lambda: "mcp" not in office.portal.pids(), 10, "the end of the server")
    assert "starting it again" not in office.portal.log()
    assert "Traceback" not in office.portal.log()


@pytest.mark.usefixtures("is_on")
class TestAClient:
    def test_finds_two_tools_that_only_read(self, office: Office) -> None:
        found = office.ask(office.token_a, lambda client: client.list_tools())
        assert [each.name for each in found.tools] == ["service_status", "list_services"]
        assert all(each.annotations.read_only_hint for each in found.tools)

    def test_is_told_how_a_service_of_its_company_is(self, office: Office) -> None:
        told = office.told(office.token_a, "Is emial down?")
        assert told["meaning"] == "about"
        assert told["answer"].startswith("Email: System is down since ")
        assert told["answer"].endswith(" We know and work on it.")
        assert [each["status"] for each in told["services"]] == ["system_is_down"]
        assert office.told(office.token_a, "", language="de")["answer"].startswith("Email: Ausgefallen seit ")

    def test_lists_the_services_of_its_company(self, office: Office) -> None:
        result = office.ask(office.token_b, lambda client: client.call_tool("list_services", {}))
        assert [each["name"] for each in result.structured_content["services"]] == ["Telephony"]

    def test_learns_nothing_of_another_company(self, office: Office) -> None:
        told = office.told(office.token_b, "Is email down?")
        assert told["meaning"] == "unknown"
        assert told["answer"] == "I do not know that service. You have Telephony."
        assert office.told(office.token_b, "")["answer"] == "Everything you use is operating normally."

    def test_with_a_token_that_opens_nothing_is_refused(self, office: Office) -> None:
        for token, status in (("sbx_wrong", 401), ("", 401), (office.token_of_staff, 403)):
            answer = office.post(token)
            assert answer.status == status
            assert answer.headers["Content-Type"] == "application/problem+json"
        assert office.post("sbx_wrong").headers["WWW-Authenticate"].startswith("Bearer")
        with pytest.raises(BaseException, match=r"401|unhandled errors|Unauthorized|opens nothing"):
            office.ask("sbx_wrong", lambda client: client.list_tools())

    def test_t16_from_a_page_is_refused(self, office: Office) -> None:
        assert office.post(office.token_a, Origin="https://evil.example").status == 403

    def test_t30_that_sends_nonsense_is_answered_in_order(self, office: Office) -> None:
        assert office.post(office.token_a).status in {400, 406}
        result = office.ask(
            office.token_a, lambda client: client.call_tool("service_status", {"question": "x" * 5_000})
        )
        assert result.is_error
        assert office.told(office.token_a, "<script>alert(1)</script>")["meaning"] == "other"
        assert "Traceback" not in office.portal.log()

    def test_is_refused_the_moment_it_is_switched_off(self, office: Office) -> None:
        async def ask_twice() -> Any:
            async with office.client(office.token_a) as client:
                assert not (await client.call_tool("list_services", {})).is_error
                await anyio.to_thread.run_sync(office.switch, False)
                began = time.monotonic()
                with pytest.raises(BaseException):  # noqa: B017, PT011 (whatever the SDK makes of a 404)
                    await client.call_tool("list_services", {})
                return time.monotonic() - began

        assert apart(ask_twice) < PATIENCE


def test_a_program_of_ones_own_asks_over_standard_input(office: Office) -> None:
    office.switch(True)
    variables = {**office.portal.variables, "PORTAL_MCP_TOKEN": office.token_a}

    async def ask() -> Any:
        started = StdioServerParameters(command=str(EXECUTABLE), args=["mcp", "--stdio"], env=variables)
        async with Client(stdio_client(started)) as client:
            return await client.call_tool("service_status", {"question": "email?"})

    found = apart(ask)
    assert found.structured_content["answer"].startswith("Email: System is down since ")
    office.switch(False)
    refused = apart(ask)
    assert refused.is_error
    assert "switched off" in refused.content[0].text


def test_without_a_token_standard_input_is_a_mistake_in_the_call(office: Office) -> None:
    called = office.portal.run("mcp", "--stdio")
    assert called.returncode == 2
    assert "PORTAL_MCP_TOKEN" in called.stderr
