"""Services and components as topics that people may want mails about, or not: "service:12", "component:5".

Which of its services a company is shown is said further up, in `services/topics.py`.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext
from sqlalchemy import select

from portal.catalogue.models import Component, Service
from portal.catalogue.queries import components_of_company
from portal.catalogue.rules import component_topic, service_topic
from portal.domains.queries import companies_with_status_open
from portal.extensions import db
from portal.notifications.topics import Source, Topic, register


def components_of(company_id: int, now: datetime) -> Sequence[Topic]:
    """What rests under what a company holds, by title; nothing where Status is closed to it. At most four queries."""
    if not companies_with_status_open([company_id]):
        return ()
    rows = db.session.execute(
        select(Component.id, Component.title)
        .where(Component.id.in_(components_of_company(company_id, now)), Component.archived_at.is_(None))
        .order_by(Component.title_key, Component.id)
    )
    return [Topic(component_topic(row_id), title) for row_id, title in rows]


def services_named(keys: Collection[str]) -> dict[str, str]:
    """What the keys of services stand for, archived or not. At most one query."""
    return _named(keys, service_topic, Service.id, Service.name)


def components_named(keys: Collection[str]) -> dict[str, str]:
    """What the keys of components stand for, archived or not. At most one query."""
    return _named(keys, component_topic, Component.id, Component.title)


def _named(keys: Collection[str], topic: Callable[[int | str], str], row_id: Any, label: Any) -> dict[str, str]:
    numbers = [key.removeprefix(topic("")) for key in keys if key.startswith(topic(""))]
    ids = [int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 10]
    if not ids:
        return {}
    return {topic(found): name for found, name in db.session.execute(select(row_id, label).where(row_id.in_(ids)))}


register(Source("2-components", lazy_gettext("What they rest on"), components_of, components_named))
