"""What subscribers, who have no login, are told of incidents and maintenance: what the public page shows everybody."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _

from portal.catalogue.queries import services_reached
from portal.catalogue.rules import component_topic, service_topic
from portal.incidents.mails.reaching import Selection, Subject, written
from portal.incidents.mails.wordings import facts_in
from portal.incidents.rules import conversations, postmortems
from portal.incidents.rules.telling import PUBLIC
from portal.notifications.kinds import Published

INCIDENT = "incident"


def following(fixed_at: datetime | None, state: str, language: str, time_zone: str) -> str:
    """What those are told who hear of one incident alone: how it ends. In the language that is spoken."""
    if state == postmortems.STATE:
        return str(_("You asked to hear of this incident alone. This was the last of it, unless it comes back."))
    if fixed_at is None:
        days = conversations.AFTER_FIXED.days
        return str(
            _(
                "You asked to hear of this incident alone. That ends by itself %(days)s days after it is fixed.",
                days=days,
            )
        )
    moment = written(fixed_at + conversations.AFTER_FIXED, language, time_zone)
    return str(
        _(
            "You asked to hear of this incident alone. That ends by itself on %(moment)s: until then we tell you if it "
            "comes back, and what we have learnt of it.",
            moment=moment,
        )
    )


def published(selector: Mapping[str, Any], subject: Subject, noun: str, path: str, now: datetime) -> Published | None:
    """What of this selector is for everybody; None where it is for some companies only. One query.

    `noun` is what its facts are called ("incident"), `path` where they are shown, before the public id.
    """
    if not selector.get(PUBLIC):
        return None
    wanted = Selection.read(selector, subject)
    facts: Mapping[str, Any] = selector.get("facts", {})
    told = facts.get(noun, {})
    components = wanted.component_ids
    services = services_reached(components, now) if components else []

    def fill(language: str, time_zone: str) -> dict[str, str]:
        moments = {name: written(moment, language, time_zone) for name, moment in wanted.moments.items()}
        if noun != INCIDENT:
            return {**moments, "affected": ""}
        with force_locale(language):
            end = following(wanted.moments.get("fixed"), told.get("state", ""), language, time_zone)
        return {**moments, "affected": "", "following": end}

    return Published(
        about=frozenset([*map(component_topic, components), *map(service_topic, services)]),
        fill=fill,
        path=f"{path}{told.get('id', '')}",
        event=f"{noun}.{told.get('state', '')}",
        data=facts,
        data_in=lambda language: facts_in(selector, facts, noun, language),
    )
