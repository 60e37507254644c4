"""An answer for a program or an assistant that asks for a company, in the language and words of its portal domain."""

from dataclasses import dataclass
from datetime import datetime

from portal.domains.models import PortalDomain
from portal.domains.queries import home_of, open_areas
from portal.domains.rules import Area
from portal.filters import worded
from portal.language import written_for_everybody
from portal.services.queries import ServiceLine, service_lines
from portal.services.queries.settings import view_of
from portal.services.questions.queries import answer
from portal.services.questions.rules import Meaning
from portal.services.questions.words import in_words, no_question


@dataclass(frozen=True)
class Reply:
    """What a question was taken for, what is said to it, and the services that is about, worst first."""

    meaning: Meaning
    words: str
    lines: tuple[ServiceLine, ...]


def reply(
    text: str, company_id: int, now: datetime, *, domain: PortalDomain | None = None, language: str | None = None
) -> Reply | None:
    """What the company is told on this portal domain (None: its home); None where its services are not shown there.

    Nobody is promised a mail: it is no person who asks.
    """
    domain = domain or home_of(company_id)
    areas = open_areas(domain, company_id) if domain else frozenset()
    if domain is None or Area.SERVICES not in areas:
        return None
    found = answer(text, company_id, now, areas=areas, view=view_of(domain.id, company_id))
    with written_for_everybody(language or domain.language, domain.time_zone), worded(domain.wordings):
        if found is None:
            return Reply(Meaning.OTHER, no_question(), ())
        return Reply(found.meaning, in_words(found), found.lines)


def services_of(company_id: int, now: datetime) -> tuple[ServiceLine, ...] | None:
    """Every service of the company as its own list at home shows it; None where its services are not shown."""
    domain = home_of(company_id)
    areas = open_areas(domain, company_id) if domain else frozenset()
    if domain is None or Area.SERVICES not in areas:
        return None
    view = view_of(domain.id, company_id)
    return tuple(service_lines(company_id, now, shows_incidents=Area.STATUS in areas, view=view))
