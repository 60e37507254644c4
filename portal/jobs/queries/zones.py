"""Which day it is for a company: what is valid “until the 30th” is so until that day ends where its home portal is."""

from datetime import date, datetime

from portal.domains.queries import home_of
from portal.language import zone


def company_zone(company_id: int) -> str:
    """The name of the zone of a company's home portal domain; UTC without one. One query."""
    home = home_of(company_id)
    return home.time_zone if home else "UTC"


def today_of(company_id: int, now: datetime) -> date:
    """The date it is for a company. One query."""
    return now.astimezone(zone(company_zone(company_id))).date()
