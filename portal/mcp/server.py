"""The tools of assistants, over HTTP or over standard input and output.

Over HTTP every request is admitted by itself before the protocol is read; no session is kept, so no process has to be
found again. An answer is what the company would read in its own portal.
"""

import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Literal, TypeVar

import anyio.to_thread
import uvicorn
from flask import Flask
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from pydantic import Field
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import TypedDict

from portal import clock, events
from portal.access import IDENTIFY
from portal.config import Settings
from portal.database import DatabaseReplacedError, read_only
from portal.filters import iso
from portal.mcp.admission import Refused, company_of
from portal.services.queries import ServiceLine
from portal.services.questions.replies import reply, services_of

log = logging.getLogger(__name__)

PATH = "/mcp"
MOST_BYTES = 64 * 1024
MOST_AT_ONCE = 100
SECONDS_TO_END = 2

COMPANY = "signalbox.company"
"""Where a request that was admitted carries whose it is."""

NOT_SHOWN = "The services of this company are not shown in its portal, so nothing is known of them here."
EVERYTHING = "status"
BUSY = "The data is being written by somebody else. Wait a second."

ABOUT = (
    "Knows how the services of one company are at this moment: operating normally, in scheduled service, with "
    "intermittent problems, or down. Give the answer of service_status as it is; where it asks back, ask the person. "
    "Never conclude that a service works because it was not mentioned."
)


class ServiceState(TypedDict):
    """One service of the company. `status` is null where nothing may be said of it; moments are in UTC."""

    name: str
    reference: str
    status: str | None
    reason: str
    since: str | None
    starts_at: str | None
    ends_at: str | None
    notes: str


class StatusAnswer(TypedDict):
    """The answer in words, what the question was taken for, and the services it speaks of, worst first."""

    answer: str
    meaning: str
    services: list[ServiceState]


class ServiceList(TypedDict):
    """Every service of the company."""

    services: list[ServiceState]


Found = TypeVar("Found")

Who = Callable[[Context], int]
"""Says for which company a call is, or raises Refused."""


def make_server(app: Flask, who: Who) -> MCPServer:
    """The server with its two tools."""
    server = MCPServer(
        "signalbox",
        title="Signalbox service status",
        instructions=ABOUT,
        version=version("signalbox"),
        log_level="WARNING",
        subscriptions=False,
    )
    reads = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

    def service_status(
        ctx: Context,
        question: Annotated[
            str,
            Field(
                max_length=1000,
                description="A question such as “Is email down?”, in English or German, or the name of a service. "
                "Leave it empty to ask how everything is.",
            ),
        ] = "",
        language: Annotated[
            Literal["en", "de"] | None,
            Field(description="The language of the answer; usually that of the company's portal."),
        ] = None,
    ) -> StatusAnswer:
        return _in_app(app, lambda: _answered(who(ctx), question, language))

    def list_services(ctx: Context) -> ServiceList:
        return _in_app(app, lambda: _listed(who(ctx)))

    server.add_tool(
        service_status,
        title="How a service is",
        description="How a service of this company is at this moment, or all of them: in words, since when, and why.",
        annotations=reads,
    )
    server.add_tool(
        list_services,
        title="The services of this company",
        description="Every service of this company by the name it has for them, with its status at this moment.",
        annotations=reads,
    )
    return server


def _answered(company_id: int, question: str, language: str | None) -> StatusAnswer:
    found = reply(question.strip() or EVERYTHING, company_id, clock.utcnow(), language=language)
    if found is None:
        raise Refused(HTTPStatus.NOT_FOUND, NOT_SHOWN)
    return {"answer": found.words, "meaning": found.meaning.value, "services": [_state(each) for each in found.lines]}


def _listed(company_id: int) -> ServiceList:
    found = services_of(company_id, clock.utcnow())
    if found is None:
        raise Refused(HTTPStatus.NOT_FOUND, NOT_SHOWN)
    return {"services": [_state(each) for each in found]}


def _state(line: ServiceLine) -> ServiceState:
    return {
        "name": line.name,
        "reference": line.reference,
        "status": line.status.value if line.status else None,
        "reason": line.reason,
        "since": iso(line.since) if line.since else None,
        "starts_at": iso(line.starts_at) if line.starts_at else None,
        "ends_at": iso(line.until) if line.until else None,
        "notes": line.notes,
    }


def _in_app(app: Flask, work: Callable[[], Found]) -> Found:
    """Read in a transaction of its own; what goes wrong is told in a sentence, never as a trace."""
    with app.app_context():
        read_only.set(True)
        try:
            return work()
        except Refused as refusal:
            raise ToolError(refusal.sentence) from None
        except DatabaseReplacedError as trouble:
            raise ToolError(_end(trouble)) from None
        except OperationalError:
            raise ToolError(BUSY) from None
        finally:
            events.rollback()


def _end(trouble: DatabaseReplacedError) -> str:
    """Only a process that starts anew sees a database that was replaced, so this one ends."""
    log.critical("%s: this process ends, so that it is started again on what is there", trouble)
    os.kill(os.getpid(), signal.SIGTERM)
    return BUSY


class Admission:
    """Lets a request through to the protocol, with the company it is for, or answers it with problem details."""

    def __init__(self, app: Flask, inner: ASGIApp) -> None:
        self._app = app
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        asked = Request(scope)
        scheme, _space, secret = asked.headers.get("authorization", "").partition(" ")
        address = self._address(asked)
        try:
            if asked.headers.get("origin"):
                # A browser speaks for whoever it has open; assistants are no pages, and send none.
                raise Refused(HTTPStatus.FORBIDDEN, "No page may ask here.")
            known = secret.strip() if scheme.lower() == "bearer" else ""
            scope[COMPANY] = await anyio.to_thread.run_sync(partial(self._admitted, known, address))
        except Refused as refusal:
            await _problem(refusal)(scope, receive, send)
            return
        await self._inner(scope, receive, send)

    def _address(self, asked: Request) -> str | None:
        """Where a request came from: what the outermost of the trusted proxies saw, if there are any."""
        settings: Settings = self._app.config["SETTINGS"]
        seen = [each.strip() for each in ",".join(asked.headers.getlist("x-forwarded-for")).split(",") if each.strip()]
        if settings.trusted_proxies and len(seen) >= settings.trusted_proxies:
            return seen[-settings.trusted_proxies]
        return asked.client.host if asked.client else None

    def _admitted(self, secret: str, address: str | None) -> int:
        with self._app.app_context():
            try:
                return company_of(secret, address, clock.utcnow())
            except DatabaseReplacedError as trouble:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, _end(trouble), {"Retry-After": "1"}) from None
            except OperationalError:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, BUSY, {"Retry-After": "1"}) from None
            finally:
                events.rollback()


def _problem(refusal: Refused) -> JSONResponse:
    status = HTTPStatus(refusal.status)
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": refusal.sentence}
    return JSONResponse(body, status, refusal.headers, media_type="application/problem+json")


def http_app(app: Flask) -> ASGIApp:
    """The server over HTTP at `PATH`."""

    def who(ctx: Context) -> int:
        asked = ctx.request_context.request
        if asked is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, IDENTIFY)
        company_id: int = asked.scope[COMPANY]
        return company_id

    inner = make_server(app, who).streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=MOST_BYTES,
        # Nothing is kept for a browser to abuse: every request brings its token, and one from a page is refused.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Admission(app, inner)


def serve(app: Flask, host: str, port: int) -> None:
    """Answer over HTTP until SIGTERM or SIGINT."""
    uvicorn.Server(
        uvicorn.Config(
            http_app(app),
            host=host,
            port=port,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=SECONDS_TO_END,
            limit_concurrency=MOST_AT_ONCE,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            proxy_headers=False,
        )
    ).run()


def serve_here(app: Flask, secret: str) -> None:
    """Answer the program that started this process, over standard input and output, for the company of this token."""

    def who(_ctx: Context) -> int:
        return company_of(secret, None, clock.utcnow())

    make_server(app, who).run("stdio")
