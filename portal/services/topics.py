"""The services of a company as topics that its people may want mails about, or not: those that are shown to it."""

from collections.abc import Sequence
from datetime import datetime

from flask_babel import lazy_gettext

from portal.catalogue.queries import services_held
from portal.catalogue.rules import service_topic
from portal.catalogue.topics import services_named
from portal.domains.queries import companies_with_area_open, companies_with_status_open
from portal.domains.rules import Area
from portal.notifications.topics import Source, Topic, register
from portal.services.queries.settings import views_of


def services_of(company_id: int, now: datetime) -> Sequence[Topic]:
    """What a company holds and is shown, each service once, as customers see them; nothing where both Status and
    Services are closed to it. At most seven queries.
    """
    wanted = [company_id]
    if not companies_with_status_open(wanted) and not companies_with_area_open(Area.SERVICES, wanted):
        return ()
    hidden = views_of(wanted)[company_id].hidden_services
    names: dict[int, str] = {}
    for holding in services_held(company_id, now):
        if holding.service_id not in hidden:
            names.setdefault(holding.service_id, holding.name)
    return [Topic(service_topic(service_id), name) for service_id, name in names.items()]


register(Source("1-services", lazy_gettext("Services"), services_of, services_named))
