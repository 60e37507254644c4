"""What a refusal looks like: one sentence, as a page, a fragment or JSON, and never a trace."""

import errno
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask, Response, g, jsonify, make_response, redirect, render_template, request, url_for
from flask_babel import force_locale, gettext
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError
from markupsafe import Markup
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, InternalServerError

from portal.database import DatabaseReplacedError, Trouble, read_only, trouble_of
from portal.extensions import db
from portal.fragments import wants_fragment

log = logging.getLogger(__name__)


class RuleViolation(Exception):
    """A refusal with a sentence the user can act on; becomes 422 on the form.

    `field` names the form field the sentence belongs beside, if it belongs to one.
    """

    def __init__(self, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class StaleEdit(Exception):
    """Somebody else saved in between; becomes 409. Routes that can show both versions catch it themselves."""


class NotFound(Exception):
    """There is no such thing for this viewer: missing and invisible are the same 404."""


LOOKED_AT_ONLY = "signalbox.looked_at_only"
"""In the environment of a request, where no header gets: the product asks itself, and the answer leaves no trace."""

SENTENCES: dict[int, tuple[str, str]] = {
    400: (
        _("That request could not be read"),
        _("Go back, reload the page and try once more. What you typed is still in the form."),
    ),
    401: (_("Please sign in"), _("Your session has ended. Sign in again and you can carry on.")),
    403: (_("You do not have the right to do this"), _("Ask an administrator if you need it.")),
    404: (_("There is nothing here"), _("The address may be mistyped, or this is not yours to see.")),
    405: (_("That is not possible here"), _("Go back and use the buttons on the page.")),
    409: (
        _("Somebody else changed this in the meantime"),
        _("Nothing was overwritten. Reload to see the newer version."),
    ),
    413: (_("That is too big"), _("Send less at once.")),
    422: (_("Something needs another look"), _("The sentence beside the field says what.")),
    429: (_("Too many attempts"), _("Wait a little and try again.")),
    500: (
        _("Something went wrong on our side"),
        _("Nothing was half saved. Try again, and tell us the number below if it happens again."),
    ),
    507: (
        _("There is no room left to store this"),
        _("Nothing was half saved, and reading goes on. Whoever runs this portal must make room; then try again."),
    ),
    503: (_("Busy for a moment"), _("The data is being written by somebody else. Try again in a few seconds.")),
}


DATABASE_WORDS = {
    Trouble.OUTDATED: (
        _("Being brought up to date"),
        _("This portal is just moving to a new version. Try again in a minute."),
    ),
    Trouble.AWAY: (
        _("Not reachable for a moment"),
        _("The data cannot be read right now. Nothing is lost; try again in a few seconds."),
    ),
}
"""Title and advice of a 503 where it is not a lock that is waited for."""

REPLACED = (
    _("Nothing can be stored right now"),
    _("The data was moved while this portal was running. Whoever runs it must start it again; reading goes on."),
)


MACHINE_WORDS = {
    400: "The request could not be read: its JSON, its encoding or one of its headers is broken.",
    401: "Send a token in a header like “Authorization: Bearer sbx_…”.",
    404: "Nothing with this address is there for this token.",
    405: "This address does not take this method. The header Allow lists those it takes.",
    409: "Somebody else changed this in the meantime. Read it again, and send the change with its new ETag.",
    415: "Send the body as application/json.",
    422: "Part of the request is not acceptable.",
    428: "Send If-Match with the ETag of what you change, so that nobody’s change is overwritten.",
}
"""Advice to a machine where that to a person would be about pages and buttons."""


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(NotFound, lambda _error: answer(404))
    app.register_error_handler(RuleViolation, _refused)
    app.register_error_handler(StaleEdit, lambda _error: answer(409))
    app.register_error_handler(StaleDataError, lambda _error: answer(409))
    for kind in (OperationalError, ProgrammingError, InterfaceError, InternalError):
        app.register_error_handler(kind, _database)
    app.register_error_handler(DatabaseReplacedError, _replaced)
    app.register_error_handler(OSError, _no_room)
    app.register_error_handler(DataError, lambda _error: answer(422))
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(OverflowError, lambda _error: answer(422))
    app.register_error_handler(InternalServerError, _unexpected)
    app.register_error_handler(ValueError, _value)


def answer(
    code: int,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    title: str = "",
    problems: Sequence[Mapping[str, str]] = (),
) -> Response:
    """The error as whoever asked can read it: problem details under /api/, a fragment for htmx, else a page.

    `problems` says for machines which parts of the request are wrong: `detail` with `pointer`, `parameter` or `header`.
    """
    db.session.rollback()
    usual, advice = _words(code)
    title = title or usual
    reference = getattr(g, "request_id", "") if code >= 500 else ""
    context: dict[str, Any] = {"code": code, "title": title, "advice": detail or advice, "reference": reference}
    if request.path.startswith("/api/"):
        body = {"type": "about:blank", "status": code, "title": title, "detail": context["advice"]}
        if problems:
            body["errors"] = list(problems)
        response = make_response(jsonify(body), code)
        response.mimetype = "application/problem+json"
    else:
        template = "errors/_error.html" if wants_fragment() else "errors/error.html"
        response = make_response(_page(template, context), code)
    response.headers["Cache-Control"] = "no-store"
    response.headers.extend(headers or {})
    return response


def _words(code: int) -> tuple[str, str]:
    """Title and advice of a refusal; machines have some words of their own."""
    title, advice = _in_words(SENTENCES.get(code, SENTENCES[400 if code < 500 else 500]))
    return title, (MACHINE_WORDS.get(code) or advice) if request.path.startswith("/api/") else advice


def _in_words(sentences: tuple[str, str]) -> tuple[str, str]:
    """Title and advice in the reader's language; in English for machines, and where nobody can be asked who reads."""
    title, advice = sentences
    if request.path.startswith("/api/"):
        with force_locale("en"):
            return str(title), str(advice)
    try:
        return str(title), str(advice)
    except Exception:
        log.exception("the reader's language is not known")
        db.session.rollback()
        with force_locale("en"):
            return str(title), str(advice)


def _page(template: str, context: dict[str, Any]) -> str:
    """The error page, or its bare words: the database that broke the request may break the page that says so."""
    try:
        return render_template(template, **context)
    except Exception:
        log.exception("the error page cannot be shown")
        db.session.rollback()
        return str(Markup("<!doctype html><title>{title}</title><h1>{title}</h1><p>{advice}</p>").format(**context))


def to_sign_in() -> Response:
    """How somebody signed out is sent to sign in: 302 for a page, 401 with HX-Redirect for htmx, 401 for the API."""
    if request.path.startswith("/api/"):
        return answer(401)
    if request.headers.get("HX-Request"):
        return answer(401, headers={"HX-Redirect": url_for("accounts.sign_in")})
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return make_response(redirect(url_for("accounts.sign_in", next=wanted if wanted != "/" else None)))


def _refused(refusal: RuleViolation) -> Response:
    problem = {"detail": refusal.sentence} | ({"pointer": f"/{refusal.field}"} if refusal.field else {})
    return answer(422, detail=refusal.sentence, problems=[problem])


def _http(error: HTTPException) -> Response:
    # `abort(response)` has no code of its own: it answers with what it was given.
    if error.response is not None and (error.code or 0) < 400:
        return error.get_response()  # type: ignore[return-value]
    code = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    return answer(code, headers=headers)


def _csrf(_error: CSRFError) -> Response:
    detail = gettext("This form was opened before you signed in or out. Reload the page and send it again.")
    return answer(400, detail=detail)


def _database(error: DBAPIError) -> Response:
    """What the matter is, in words; a statement that is wrong in itself is a bug of ours and no trouble of theirs."""
    trouble = trouble_of(error)
    if trouble is None and not isinstance(error, OperationalError):
        raise error
    log.error("database does not answer: %s", error.orig)
    # What the page reads it reads without asking for the lock that could not be had.
    read_only.set(True)
    if trouble is Trouble.FULL:
        return answer(507)
    wait = {"Retry-After": "30" if trouble is Trouble.OUTDATED else "5"}
    title, advice = _in_words(DATABASE_WORDS.get(trouble or Trouble.BUSY, SENTENCES[503]))
    return answer(503, detail=advice, headers=wait, title=title)


def _replaced(error: DatabaseReplacedError) -> Response:
    log.critical("%s: nothing is written until this process is started again", error)
    read_only.set(True)
    title, advice = _in_words(REPLACED)
    return answer(503, detail=advice, headers={"Retry-After": "30"}, title=title)


def _no_room(error: OSError) -> Response:
    """What is uploaded passes through files of its own; a disk that takes no more is no bug of ours."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        raise error
    log.error("a file cannot be written: %s", error)
    return answer(507)


def _value(error: ValueError) -> Response:
    """Werkzeug refuses a line break in a header with a ValueError: bad input, unless it is our own bug."""
    if "newline" in str(error) or "control characters" in str(error):
        return answer(400)
    raise error


def _too_deep(error: RecursionError) -> Response:
    """Python's JSON reader gives up this way on what is nested a thousand deep; only a forger sends that."""
    log.warning("nested too deep", exc_info=error)
    return answer(400)


def _unexpected(error: InternalServerError) -> Response:
    log.error("unexpected error", exc_info=error.original_exception or error)
    return answer(500)
