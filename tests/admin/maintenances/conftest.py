"""The world of the incident tests, maintenance in it, and the forms of these screens as a browser sends them."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bs4.element import Tag
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions import maintenance as acts
from portal.incidents.models import Maintenance, MaintenanceUpdate
from portal.incidents.rules.maintenance import Plan
from tests.admin.incidents.conftest import post, report, soup
from tests.incidents.conftest import world

__all__ = [
    "HOUR",
    "LIST",
    "fields",
    "hidden",
    "last",
    "one",
    "planned",
    "post",
    "report",
    "soup",
    "updates",
    "wall",
    "world",
]

LIST = "/admin/maintenances"
HOUR = timedelta(hours=1)


def planned(
    title: str, component_ids: list[int], starts_in: timedelta = 72 * HOUR, lasts: timedelta = 2 * HOUR, **more: Any
) -> Maintenance:
    """Maintenance that was announced an hour ago, or before it began, without mail."""
    now = clock.utcnow().replace(second=0, microsecond=0)
    wanted = Plan(
        title=title,
        body=more.pop("body", "We replace a switch."),
        component_ids=frozenset(component_ids),
        starts_at=now + starts_in,
        ends_at=now + starts_in + lasts,
        zone=more.pop("zone", "Europe/London"),
        **({"notify": False} | more),
    )
    announced = min(now, now + starts_in) - HOUR
    made = acts.plan(wanted, by=SYSTEM, author_id=None, now=announced, idempotency_key=f"test:{title}")
    db.session.commit()
    return made


def last() -> Maintenance:
    found = db.session.scalars(select(Maintenance).order_by(Maintenance.id.desc()).limit(1)).one()
    db.session.refresh(found)
    return found


def updates(maintenance_id: int) -> list[MaintenanceUpdate]:
    """What was told of it, oldest first."""
    mine = MaintenanceUpdate.maintenance_id == maintenance_id
    return list(db.session.scalars(select(MaintenanceUpdate).where(mine).order_by(MaintenanceUpdate.id)))


def fields(client: FlaskClient, path: str, form_id: str) -> dict[str, Any]:
    """What a browser would send of this form as it opens; fields that may be chosen several times are lists."""
    form = soup(client.get(path)).find(id=form_id)
    assert isinstance(form, Tag), path
    data: dict[str, Any] = {}
    for control in form.find_all(["input", "textarea", "select"]):
        name, value = str(control.get("name", "")), str(control.get("value", ""))
        if not name or (control.get("type") in ("checkbox", "radio") and not control.has_attr("checked")):
            continue
        if control.name == "textarea":
            value = control.text.lstrip("\n")
        elif control.name == "select":
            chosen = control.find("option", selected=True) or control.find("option")
            assert isinstance(chosen, Tag)
            value = str(chosen["value"])
        if name in ("components", "reminders", "days"):
            data.setdefault(name, []).append(value)
        else:
            data[name] = value
    return data


def hidden(page: Tag, form_id: str) -> dict[str, str]:
    """The hidden fields of a form that was answered, by name."""
    return {str(each["name"]): str(each.get("value", "")) for each in page.select(f"#{form_id} input[type=hidden]")}


def one(page: Tag, selector: str) -> Tag:
    """The element a selector finds first."""
    found = page.select_one(selector)
    assert found is not None, selector
    return found


def wall(moment: datetime, zone: str = "Europe/London") -> str:
    """As a clock of the zone shows it, which is what the forms are filled in with."""
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"
