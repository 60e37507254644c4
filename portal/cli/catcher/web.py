"""The pages of the mail catcher: a small application of its own, which knows neither the database nor anybody."""

import signal
import threading
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, render_template, request
from werkzeug.serving import WSGIRequestHandler, make_server

from portal.brand import STAFF_ACCENT, style_sheet
from portal.cli.catcher.box import Box, Caught, take_apart
from portal.domains.rules import normal_host

STATIC = Path(__file__).parent.parent.parent / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; frame-ancestors 'self'"
)
"""For the HTML of a mail, in its frame or opened by itself: no scripts, no fetching, links in a new window."""


pages = Blueprint("catcher", __name__)


def create_app(box: Box, host: str) -> Flask:
    """The pages over this box. `host` is where they listen: on this machine alone, they answer to its names alone."""
    app = Flask(__name__, static_folder=None, template_folder=str(STATIC.parent / "templates" / "catcher"))
    app.extensions["box"] = box
    app.extensions["is_private"] = host in {"127.0.0.1", "::1", "localhost"}
    app.extensions["files"] = {
        "portal.css": ("text/css", b"\n".join(path.read_bytes() for path in sorted((STATIC / "css").glob("*.css")))),
        "brand.css": ("text/css", style_sheet(STAFF_ACCENT).encode()),
        "catcher.css": ("text/css", (STATIC / "catcher" / "catcher.css").read_bytes()),
        "mark.svg": ("image/svg+xml", (STATIC / "images" / "mark.svg").read_bytes()),
        "htmx.js": ("text/javascript", (STATIC / "vendor" / "htmx.js").read_bytes()),
    }
    app.register_blueprint(pages)
    return app


@pages.before_app_request
def refuse_other_hosts() -> None:
    """A page elsewhere whose name is made to lead here must not read the mail."""
    name = normal_host(request.host)
    is_ours = name in {"127.0.0.1", "localhost"} or name.endswith(".localhost")
    if current_app.extensions["is_private"] and not is_ours:
        abort(400)


@pages.after_app_request
def set_headers(response: Response) -> Response:
    """What every answer carries; the frame of a mail has a policy of its own."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.get("/")
def mails() -> str:
    """The list, newest first, a page at a time."""
    box = _box()
    wanted = request.args.get("q", "")
    page = box.page(wanted, request.args.get("page", 1, type=int))
    if page is None:
        abort(404)
    return render_template("mails.html", page=page, wanted=wanted, taken=box.taken)


@pages.get("/mails/<int:number>")
def mail(number: int) -> str:
    """One mail."""
    caught, content = _found(number)
    return render_template("mail.html", mail=caught, parts=take_apart(content))


@pages.get("/mails/<int:number>/html")
def html(number: int) -> Response:
    """The HTML of a mail, for its frame."""
    _caught, content = _found(number)
    response = Response(f'<!doctype html><base target="_blank">{take_apart(content).html}', mimetype="text/html")
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    return response


@pages.get("/mails/<int:number>/raw")
def raw(number: int) -> Response:
    """A mail as it arrived, as a file."""
    _caught, content = _found(number)
    disposition = {"Content-Disposition": f"attachment; filename=mail-{number}.eml"}
    return Response(content, mimetype="message/rfc822", headers=disposition)


@pages.get("/files/<name>")
def file(name: str) -> Response:
    """Style and script of these pages."""
    files = current_app.extensions["files"]
    if name not in files:
        abort(404)
    mimetype, body = files[name]
    return Response(body, mimetype=mimetype)


def serve(box: Box, host: str, port: int) -> None:
    """Answer until SIGTERM."""
    server = make_server(host, port, create_app(box, host), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="catcher", daemon=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    thread.start()
    ended.wait()
    server.shutdown()
    server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_arguments: Any) -> None:
        """Nobody reads which pages of the catcher were opened."""


def _box() -> Box:
    box: Box = current_app.extensions["box"]
    return box


def _found(number: int) -> tuple[Caught, bytes]:
    found = _box().open(number)
    if found is None:
        abort(404)
    return found
