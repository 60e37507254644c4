"""“Is email down?”, asked by somebody signed in and answered from their company's services."""

from dataclasses import dataclass

from flask import Blueprint, Response, abort, request

from portal import access, clock
from portal.domains.rules import Area
from portal.fragments import render
from portal.services.queries import ServiceLine
from portal.services.queries.settings import view_of
from portal.services.questions.queries import Answer, answer, is_open
from portal.services.questions.rules import MOST_LETTERS, Meaning
from portal.services.questions.words import SAID, in_words, label

blueprint = Blueprint("customer_questions", __name__)
access.customers(blueprint, Area.SERVICES)


@dataclass(frozen=True)
class Said:
    """An answer as it is shown: what it says, and a link for each service it speaks of, as (line, name)."""

    words: str
    lines: tuple[tuple[ServiceLine, str], ...]


@blueprint.get("/ask")
def ask() -> Response:
    """The question `q` with its answer, for those who ask without script too."""
    if not is_open():
        abort(404)
    question = request.args.get("q", "").strip()[: MOST_LETTERS + 1]
    return render(
        "customer/questions/ask.html",
        "customer/questions/_ask.html",
        question=question,
        said=_said(question) if question else None,
    )


@blueprint.app_template_global()
def questions_are_open() -> bool:
    """Whether this page offers to ask: the area is open to whoever reads it, and the setting is on. One query."""
    return Area.SERVICES in access.areas() and is_open()


@blueprint.app_template_global()
def said_to(text: str) -> Said | None:
    """The answer to what was typed into a search, where it is a question and questions are answered."""
    return _said(text) if text and questions_are_open() else None


def _said(question: str) -> Said | None:
    person = access.signed_in()
    company_id = person.company_id or 0
    found = answer(
        question,
        company_id,
        clock.utcnow(),
        areas=access.areas(),
        view=view_of(access.portal().id, company_id),
        person_id=None if person.is_view_as else person.person_id,
    )
    return Said(in_words(found), _shown(found)) if found else None


def _shown(found: Answer) -> tuple[tuple[ServiceLine, str], ...]:
    if found.meaning is Meaning.UNKNOWN:
        return ()
    return tuple((line, label(line, found)) for line in found.lines[:SAID])
