"""The rights table: for every endpoint, who may come and with what in its path.

A route that is not listed here fails the sweep, so whoever adds one says here whom it is for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from portal.assets import address_of, brand_address
from portal.domains.rules import Area
from portal.notifications.links import unsubscribe_path
from tests.conftest import STAFF_HOST
from tests.security.world import World


class For(Enum):
    """Whom an endpoint answers."""

    STAFF = "everybody of staff"
    PUBLISHERS = "status and admin"
    OFFICE = "office and admin"
    ADMINS = "admin"
    CUSTOMERS = "people signed in for a company"
    READERS = "whoever may read the status pages, signed in or not"
    PUBLIC = "everybody on a portal domain that shows its status, as somebody signed out"
    ANYONE = "everybody on any of our hosts"
    MACHINES = "everybody, on any host"
    TOKENS = "machines with a token, and nobody with a session"


Values = Mapping[str, str]
"""Path values; `#name` stands for the id of something in the world, `@name` for its public id."""


@dataclass(frozen=True)
class Entry:
    """`ours` exists for whoever may come, `missing` for nobody; what is `hidden` must look missing to customers.

    `hidden_from_a` must look missing to company A and to everybody signed out, `hidden_from_b` to company B.
    `answers` are the statuses of a GET that went well. `area` is the access area a customer screen belongs to.
    """

    audience: For
    ours: Values = field(default_factory=dict)
    missing: Values = field(default_factory=dict)
    hidden: Sequence[Values] = ()
    hidden_from_a: Sequence[Values] = ()
    answers: frozenset[int] = frozenset({200})
    query: str = ""
    area: Area | None = None


NO_ID = "2147483000"
NO_PUBLIC_ID = "0" * 16


def resolve(world: World, values: Mapping[str, str]) -> dict[str, str]:
    """Path values with the names of things in the world replaced by their ids."""
    found = {}
    for parameter, value in values.items():
        if value.startswith("@"):
            found[parameter] = world.public_ids[value[1:]]
        elif value.startswith("#"):
            found[parameter] = str(world.ids[value[1:]])
        else:
            found[parameter] = value
    return found


def staff(audience: For, ours: Values | None = None, missing: Values | None = None, **rest: Any) -> Entry:
    return Entry(audience, ours or {}, missing or dict.fromkeys(ours or {}, NO_ID), **rest)


ANNOUNCEMENT = {"announcement_id": "#announcement"}
COMPONENT, SERVICE = {"component_id": "#north"}, {"service_id": "#service_internet"}
CONTACT_CHANNEL = {"channel_id": "#channel"}
COMPANY, DOMAIN = {"company_id": "#company_a"}, {"domain_id": "#domain_a"}
HOST = {**DOMAIN, "host_id": "#host_a"}
HUMAN = {"person_id": "#alice"}
PERSON = {**COMPANY, **HUMAN}
HOLDING = {**COMPANY, "holding_id": "#holding_internet"}
BROADCAST = {"broadcast_id": "#broadcast"}
RELAY = {"relay_id": "#relay"}
MONITOR = {"monitor_id": "#monitor"}
METRIC = {"metric_id": "#metric"}
ALERT: Any = {"ours": {"public_id": "@alert_a"}, "missing": {"public_id": NO_PUBLIC_ID}}
NOTICE = {"notice_id": "#notice"}
WORDS = {"name": "outage_system_down", "language": "de"}
NO_WORDS = {"name": "nothing", "language": "en"}
STARTER = {"note_id": "#starter_note"}
DRAFT, INCIDENT_TEMPLATE = {"draft_id": "#incident_draft"}, {"template_id": "#incident_template"}
SERVICE_UPDATE, SERVICE_WINDOW = {"update_id": "#service_update"}, {"window_id": "#service_window"}
WORK_OF_B, SERIES, SLOT = {"maintenance_id": "#maintenance_affected"}, {"series_id": "#series"}, {"request_id": "#slot"}
WORK_STEPS = ("begin", "verify", "complete", "move", "extend", "cancel", "note")
NO_LOOK = {"token": "nobody-was-given-this"}
NO_CALENDAR = {"secret": "nobody-was-given-this"}
LINK, NO_LINK = {"token": "%unsubscribe"}, {"token": "WyJhIiwiYiIsbnVsbF0.forged"}

API_IDS = {
    "company_id": "#company_a",
    "person_id": "#alice",
    "portal_id": "#domain_a",
    "component_id": "#north",
    "group_id": "#group",
    "service_id": "#service_internet",
    "holding_id": "#holding_internet",
    "incident_id": "#public",
    "update_id": "#update",
    "maintenance_id": "@maintenance_affected",
    "service_update_id": "#service_update",
    "window_id": "@service_window",
    "broadcast_id": "#broadcast",
    "delivery_id": "#delivery",
    "webhook_id": "#channel",
    "job_number": "@job_a",
    "quote_number": "@quote_a",
    "job_message_id": "@message_job",
    "quote_message_id": "@message_quote",
    "job_file_id": "@file_job",
    "quote_file_id": "@file_quote",
    "work_status_id": "#work_status",
    "entry_id": "#audit_entry",
    "area": "status",
    "language": "en",
    "host_id": "#host_a",
    "draft_id": "#incident_draft",
    "template_id": "#incident_template",
    "announcement_id": "#announcement",
    "subscriber_id": "#subscriber",
    "metric_id": "#metric",
    "alert_id": "@alert_a",
    "month": "@month",
}
"""What stands in the paths of API v1. Its answers to tokens are tests/security/test_api.py's; no session opens it."""


MISSING_WORDS = {"area": "services", "language": "de", "month": "1999-12"}


def api(resource: str, endpoints: Mapping[str, str]) -> dict[str, Entry]:
    """The endpoints of a resource of API v1 with the names in their paths."""
    found = {}
    for endpoint, names in endpoints.items():
        ours = {name: API_IDS[name] for name in names.split()}
        missing = {name: MISSING_WORDS.get(name, NO_ID) for name in ours}
        found[f"api_{resource}.{endpoint}"] = Entry(For.TOKENS, ours, missing)
    return found


def of_work(kind: str) -> dict[str, str]:
    """The endpoints of API v1 that jobs and quotes both have."""
    number = f"{kind}_number"
    return {
        **dict.fromkeys((f"list_{kind}s", f"add_{kind}", f"put_{kind}", f"move_{kind}s"), ""),
        **dict.fromkeys((f"read_{kind}", f"change_{kind}", f"move_{kind}", f"settle_{kind}"), number),
        **dict.fromkeys((f"list_{kind}_messages", f"write_about_{kind}", f"list_{kind}_files"), number),
        f"read_{kind}_message": f"{number} {kind}_message_id",
        **dict.fromkeys((f"read_{kind}_file", f"fetch_{kind}_file"), f"{number} {kind}_file_id"),
    }


NO_MAILED_LINK: dict[str, Any] = {
    "ours": {"token": "forged"},
    "missing": {"token": "forged"},
    "answers": frozenset({404}),
}
"""What a mailed link opens only its holder sees: here nobody holds one. Those who do are in test_links.py."""
NO_SESSION: dict[str, Any] = {
    "ours": {"session_id": NO_ID},
    "missing": {"session_id": NO_ID},
    "answers": frozenset({404}),
}
NO_CHANNEL: dict[str, Any] = {
    "ours": {"channel_id": "#channel"},
    "missing": {"channel_id": NO_ID},
    "answers": frozenset({404}),
}
"""A channel of one's own only its owner may end, one of the company nobody of its people; tests/customer/preferences
has who does."""

ALERT_OF_A = Entry(
    For.CUSTOMERS,
    ALERT["ours"],
    ALERT["missing"],
    hidden_from_a=[{"public_id": "@alert_b"}],
    answers=frozenset({200, 404}),
    area=Area.ALERTS,
)
"""An alert that staff made for A: its people see and test it, and nobody of another company does."""

NO_FILE = {"public_id": "0" * 26}
CASE, NO_CASE = {"kind": "case", "key": "C1"}, {"kind": "case", "key": "C99"}
OF_ONE_COMPANY = frozenset({200, 404})
"""What is A's is there for A; B's must look missing to A."""


def of_a(kind: str, area: Area) -> Entry:
    """A page about a job or a quote of company A that is in the portal; one is hidden, one is B's."""
    return Entry(
        For.CUSTOMERS,
        {"number": f"@{kind}_a"},
        {"number": f"{kind[0].upper()}-999999"},
        hidden=[{"number": f"@{kind}_hidden"}],
        hidden_from_a=[{"number": f"@{kind}_b"}],
        answers=OF_ONE_COMPANY,
        area=area,
    )


MONTH_PAGES = ("availability", "as_csv")

SERVICE_OF_A = Entry(
    For.CUSTOMERS,
    {"holding_id": "#holding_internet"},
    {"holding_id": NO_ID},
    hidden=[{"holding_id": "#holding_hidden"}],
    hidden_from_a=[{"holding_id": "#holding_telephony"}],
    answers=OF_ONE_COMPANY,
    area=Area.SERVICES,
)
"""The page of a service of company A; one is hidden from it, one is B's."""


def work(kind: str) -> dict[str, Entry]:
    """The staff screens of jobs or quotes: all staff read, the office writes. A view is removed by its owner only."""
    blueprint, letter = f"admin_{kind}s", kind[0].upper()
    one, none = {"number": f"@{kind}_a"}, {"number": f"{letter}-{NO_ID[:9]}"}
    entries = {
        "item_list": staff(For.STAFF, query="q=canary&show=all"),
        "board": staff(For.STAFF),
        "item": staff(For.STAFF, one, none, query="on=2026-11-01"),
        "board_move": staff(For.OFFICE),
        "bulk": staff(For.OFFICE),
        "new": staff(For.OFFICE, query="q=canary"),
        "edit": staff(For.OFFICE, one, none),
        "move": staff(For.OFFICE, one, none),
        "keep_view": staff(For.STAFF),
        "remove_view": staff(For.STAFF, {"view_id": NO_ID}, answers=frozenset({404})),
    }
    if kind == "quote":
        entries["lines"] = staff(For.OFFICE, one, none)
    return {f"{blueprint}.{endpoint}": entry for endpoint, entry in entries.items()}


RIGHTS: dict[str, Entry] = {
    # Machines
    "api_reference.reference": Entry(For.ANYONE, answers=frozenset({200, 404})),
    "api_reference.openapi": Entry(For.ANYONE, answers=frozenset({200, 404})),
    **api(
        "incidents",
        {
            "list_incidents": "",
            "publish_incident": "",
            "read_incident": "incident_id",
            "change_incident": "incident_id",
            "list_updates": "incident_id",
            "post_update": "incident_id",
            "read_update": "incident_id update_id",
            "change_update": "incident_id update_id",
            **dict.fromkeys(
                ("read_incident_wordings", "set_incident_wordings", "remove_incident_wordings"), "incident_id update_id"
            ),
            **dict.fromkeys(
                ("read_postmortem", "write_postmortem", "publish_postmortem", "discard_postmortem"), "incident_id"
            ),
        },
    ),
    **api(
        "incident_drafts",
        {
            "list_incident_drafts": "",
            "keep_incident_draft": "",
            **{f"{act}_incident_draft": "draft_id" for act in ("read", "change", "schedule", "publish", "discard")},
        },
    ),
    **api(
        "incident_templates",
        {
            "list_incident_templates": "",
            "keep_incident_template": "",
            **{
                f"{act}_incident_template": "template_id"
                for act in ("read", "change", "archive", "restore", "move", "fill")
            },
        },
    ),
    **api(
        "announcements",
        {
            "list_announcements": "",
            "add_announcement": "",
            **{f"{act}_announcement": "announcement_id" for act in ("read", "change", "end", "remove")},
        },
    ),
    **api(
        "availability",
        {
            **dict.fromkeys(("list_availability", "read_availability_rule", "set_availability_rule"), ""),
            **dict.fromkeys(("read_company_month", "list_holding_months"), "company_id month"),
        },
    ),
    **api(
        "subscribers",
        {
            "list_subscribers": "",
            "add_subscriber": "",
            **{
                f"{act}_subscriber": "subscriber_id" for act in ("read", "change", "quarantine", "reactivate", "remove")
            },
        },
    ),
    **api(
        "maintenances",
        {
            "list_maintenances": "",
            "plan_maintenance": "",
            **dict.fromkeys(
                (
                    *("read_maintenance", "change_maintenance", "move_maintenance", "begin_maintenance"),
                    *("verify_maintenance", "complete_maintenance", "cancel_maintenance", "note_maintenance"),
                ),
                "maintenance_id",
            ),
        },
    ),
    **api(
        "components",
        {
            "list_components": "",
            "add_component": "",
            "read_component_order": "",
            "set_component_order": "",
            **dict.fromkeys(
                (
                    "read_component",
                    "change_component",
                    "read_component_status",
                    "set_component_status",
                    "read_dependents",
                    "set_dependents",
                    "archive_component",
                    "restore_component",
                ),
                "component_id",
            ),
        },
    ),
    **api(
        "component_groups",
        {
            "list_component_groups": "",
            "add_component_group": "",
            **dict.fromkeys(("read_component_group", "change_component_group", "remove_component_group"), "group_id"),
        },
    ),
    **api(
        "services",
        {
            "list_services": "",
            "add_service": "",
            "read_service_order": "",
            "set_service_order": "",
            **dict.fromkeys(
                ("read_service", "change_service", "set_dependencies", "archive_service", "restore_service"),
                "service_id",
            ),
            **dict.fromkeys(
                ("remove_service", "end_holdings_of_service", "set_service_status"),
                "service_id",
            ),
        },
    ),
    **api("questions", {"ask_question": ""}),
    **api(
        "holdings",
        {
            "list_holdings": "",
            "add_holding": "",
            **dict.fromkeys(("read_holding", "change_holding", "end_holding", "read_holding_status"), "holding_id"),
            "set_holding_status": "holding_id",
        },
    ),
    **api(
        "service_updates",
        {
            "list_service_updates": "",
            "add_service_update": "",
            **dict.fromkeys(("read_service_update", "undo_service_update"), "service_update_id"),
        },
    ),
    **api(
        "service_windows",
        {
            "list_service_windows": "",
            **dict.fromkeys(
                ("read_service_window", "move_service_window", "cancel_service_window", "finish_service_window"),
                "window_id",
            ),
        },
    ),
    **api(
        "companies",
        {
            "list_companies": "",
            "add_company": "",
            **dict.fromkeys(
                (
                    "read_company",
                    "change_company",
                    "archive_company",
                    "restore_company",
                    "list_memberships",
                    "list_admissions",
                    "read_availability_contract",
                    "set_availability_contract",
                ),
                "company_id",
            ),
            "set_membership": "company_id person_id",
            "remove_membership": "company_id person_id",
            "set_admission": "company_id portal_id",
            "remove_admission": "company_id portal_id",
        },
    ),
    **api(
        "people",
        {
            "list_people": "",
            "add_person": "",
            **dict.fromkeys(
                (
                    "read_person",
                    "change_person",
                    "deactivate_person",
                    "reactivate_person",
                    "invite_person",
                    "withdraw_from_person",
                    "set_role",
                ),
                "person_id",
            ),
        },
    ),
    **api(
        "portals",
        {
            "list_portals": "",
            "add_portal": "",
            **dict.fromkeys(
                (
                    "read_portal",
                    "change_portal",
                    "remove_portal",
                    "set_areas",
                    "list_overrides",
                    "read_hosts",
                    "add_host",
                ),
                "portal_id",
            ),
            "remove_host": "portal_id host_id",
            "check_host": "portal_id host_id",
            "read_wordings": "portal_id language",
            "set_wordings": "portal_id language",
            "set_override": "portal_id company_id area",
            "remove_override": "portal_id company_id area",
        },
    ),
    **api(
        "broadcasts",
        {
            "list_broadcasts": "",
            "send_broadcast": "",
            **dict.fromkeys(
                ("read_broadcast", "pause_broadcast", "resume_broadcast", "cancel_broadcast", "retry_broadcast"),
                "broadcast_id",
            ),
        },
    ),
    **api("deliveries", {"list_deliveries": "", "read_delivery": "delivery_id"}),
    **api(
        "webhooks",
        {
            "list_webhooks": "",
            "add_webhook": "",
            **dict.fromkeys(
                (
                    "read_webhook",
                    "change_webhook",
                    "renew_webhook_secret",
                    "end_old_webhook_secret",
                    "test_webhook",
                    "remove_webhook",
                ),
                "webhook_id",
            ),
        },
    ),
    **api("jobs", of_work("job")),
    **api("quotes", {**of_work("quote"), **dict.fromkeys(("set_quote_lines", "take_back_answer"), "quote_number")}),
    **api("work_statuses", {"list_work_statuses": "", "read_work_status": "work_status_id"}),
    **api(
        "metrics",
        {"list_metrics": "", "add_metric": ""}
        | dict.fromkeys(
            (
                *("read_metric", "change_metric", "archive_metric", "restore_metric"),
                *("list_samples", "add_samples", "read_series"),
            ),
            "metric_id",
        ),
    ),
    **api("samples", {"add_samples_of_several": ""}),
    **api("call_records", {"list_call_records": "", "add_call_records": ""}),
    **api(
        "alerts",
        {"list_alerts": "", "add_alert": ""}
        | dict.fromkeys(
            (
                *("read_alert", "change_alert", "archive_alert", "test_alert"),
                *("list_alert_states", "list_alert_events"),
            ),
            "alert_id",
        ),
    ),
    **api("audit", {"list_audit": "", "read_audit_entry": "entry_id"}),
    # Everybody
    "accounts.sign_in": Entry(For.ANYONE, answers=frozenset({200, 302})),
    "accounts.sign_out": Entry(For.ANYONE),
    "accounts.choose_company": Entry(For.ANYONE),
    "accounts.code": Entry(For.ANYONE, answers=frozenset({302})),
    "accounts.confirm": Entry(For.ANYONE, answers=frozenset({200, 302, 401})),
    "public_links.ask_reset": Entry(For.ANYONE),
    "public_links.reset": Entry(For.ANYONE, **NO_MAILED_LINK),
    "public_links.invitation": Entry(For.ANYONE, **NO_MAILED_LINK),
    "public_links.new_address": Entry(For.ANYONE, **NO_MAILED_LINK),
    "public_links.old_address": Entry(For.ANYONE, **NO_MAILED_LINK),
    "assets.asset": Entry(For.MACHINES, ours={"address": "%portal.css"}, missing={"address": "nothing.css"}),
    "assets.brand": Entry(For.MACHINES, ours={"address": "%brand"}, missing={"address": "999999.0000000000.css"}),
    "assets.icon": Entry(For.MACHINES),
    "public_domains.check": Entry(For.MACHINES, ours={"nonce": "A" * 32}, missing={"nonce": "short"}),
    # Without a secret set, as here, nothing is taken; tests/security/test_bounces.py has the others.
    "public_inbound.take_bounce": Entry(For.MACHINES, answers=frozenset({404})),
    # A monitor's key is stored nowhere; tests/public/inbound has those that have one.
    "public_monitors.take_signals": Entry(
        For.MACHINES, ours={"key": NO_PUBLIC_ID}, missing={"key": NO_PUBLIC_ID}, answers=frozenset({404})
    ),
    "public_health.alive": Entry(For.MACHINES),
    "public_health.ready": Entry(For.MACHINES),
    # Without a token set, as here, there is no such page; tests/public/health/test_metrics.py has the others.
    "public_health.metrics": Entry(For.MACHINES, answers=frozenset({404})),
    "public_live.live_token": Entry(For.ANYONE, answers=frozenset({200, 404})),
    "public_unsubscribe.lists": Entry(For.ANYONE, ours=LINK, missing=NO_LINK),
    "public_unsubscribe.leave": Entry(For.ANYONE, ours=LINK, missing=NO_LINK),
    "public_unsubscribe.choose": Entry(For.ANYONE, ours=LINK, missing=NO_LINK),
    "public_unsubscribe.wish": Entry(For.ANYONE, ours=LINK, missing=NO_LINK),
    "public_subscribe.sign_up": Entry(For.PUBLIC),
    "public_subscribe.sign_up_webhook": Entry(For.PUBLIC),
    "public_subscribe.sign_up_room": Entry(For.PUBLIC),
    "public_subscribe.ask_link": Entry(For.PUBLIC),
    "public_subscribe.confirm": Entry(For.PUBLIC, **NO_MAILED_LINK),
    "public_subscribe.manage": Entry(For.PUBLIC, **NO_MAILED_LINK),
    "public_subscribe.leave": Entry(For.PUBLIC, **NO_MAILED_LINK),
    "public_subscribe.mail_link": Entry(For.PUBLIC, **NO_MAILED_LINK),
    # Only whoever knows a company's secret finds anything there: tests/public/calendar has one.
    "public_own_calendar.company": Entry(For.ANYONE, ours=NO_CALENDAR, missing=NO_CALENDAR, answers=frozenset({404})),
    "public_view_as.begin": Entry(For.ANYONE, ours=NO_LOOK, missing=NO_LOOK, answers=frozenset({404})),
    "public_view_as.stop": Entry(For.ANYONE),
    # Readers of the status pages
    "public_status.status": Entry(For.READERS),
    "public_status.history": Entry(For.READERS),
    "public_status.month": Entry(For.READERS, ours={"written": "@month"}, missing={"written": "1999-01"}),
    "public_metrics.metric": Entry(
        For.READERS, {"key": "@metric"}, {"key": "no-such"}, hidden=({"key": "@metric_a"}, {"key": "@metric_b"})
    ),
    "public_metrics.metric_over": Entry(
        For.READERS,
        {"key": "@metric", "span": "week"},
        {"key": "no-such", "span": "week"},
        hidden=({"key": "@metric_a", "span": "week"}, {"key": "@metric_b", "span": "week"}),
    ),
    "public_status.announcement": Entry(
        For.READERS,
        ours={"public_id": "@announcement"},
        missing={"public_id": NO_PUBLIC_ID},
        hidden=({"public_id": "@announcement_ahead"}, {"public_id": "#announcement"}),
        # It is told on A's portal, and on B's it is as missing as any other.
        answers=frozenset({200, 302, 404}),
    ),
    "public_incidents.incident": Entry(
        For.READERS,
        ours={"public_id": "@public"},
        missing={"public_id": NO_PUBLIC_ID},
        hidden=(
            {"public_id": "@private"},
            {"public_id": "@private_past"},
            {"public_id": "@maintenance_private"},
            {"public_id": "#public"},
        ),
        hidden_from_a=({"public_id": "@affected"}, {"public_id": "@affected_past"}),
    ),
    **{
        f"public_maintenances.{endpoint}": Entry(
            For.READERS,
            ours={"public_id": "@maintenance_affected"},
            missing={"public_id": NO_PUBLIC_ID},
            hidden=({"public_id": "@maintenance_private"}, {"public_id": "#maintenance_affected"}),
            hidden_from_a=({"public_id": "@maintenance_affected"},),
            # It is work on what B uses: to A it is as missing as any other.
            answers=frozenset({200, 302, 404}),
        )
        for endpoint in ("maintenance", "calendar")
    },
    # Readers of the public documents
    "public_feeds.feed": Entry(For.PUBLIC),
    "public_calendar.maintenance": Entry(For.PUBLIC),
    "public_badge.badge": Entry(For.PUBLIC),
    "public_embed.frame": Entry(For.PUBLIC),
    "public_embed.script": Entry(For.PUBLIC),
    "api_v2_subscribers.subscribe": Entry(For.PUBLIC),
    "api_v2.summary": Entry(For.PUBLIC),
    "api_v2.status": Entry(For.PUBLIC),
    "api_v2.components": Entry(For.PUBLIC),
    "api_v2.incidents": Entry(For.PUBLIC),
    "api_v2.incidents_unresolved": Entry(For.PUBLIC),
    "api_v2.maintenances": Entry(For.PUBLIC),
    "api_v2.maintenances_upcoming": Entry(For.PUBLIC),
    "api_v2.maintenances_active": Entry(For.PUBLIC),
    # Customers
    "customer_home.home": Entry(For.CUSTOMERS),
    "customer_home.banner": Entry(For.CUSTOMERS, area=Area.STATUS),
    "customer_home.your_services": Entry(For.CUSTOMERS, area=Area.SERVICES),
    **{f"customer_calls.{endpoint}": Entry(For.CUSTOMERS, area=Area.ALERTS) for endpoint in ("calls", "as_csv")},
    **{f"customer_alerts.{endpoint}": ALERT_OF_A for endpoint in ("alert", "test_alert")},
    **{
        f"customer_{endpoint}": replace(ALERT_OF_A, answers=frozenset({403, 404}))
        for endpoint in (
            *("alerts.switch_on", "alerts.switch_off", "alerts.archive_alert"),
            *("alert_forms.edit_alert", "alert_forms.rehearse_edited"),
        )
    },
    "customer_alerts.alerts": Entry(For.CUSTOMERS, area=Area.ALERTS),
    **{
        f"customer_alert_forms.{endpoint}": Entry(For.CUSTOMERS, area=Area.ALERTS, answers=frozenset({200, 403}))
        for endpoint in ("new_alert", "rehearse")
    },
    "customer_figures.figures": Entry(For.CUSTOMERS, area=Area.ALERTS, query="span=week"),
    "customer_work_sheet.sheet": Entry(For.CUSTOMERS, {"version": "0" * 12}, {"version": "short"}),
    "customer_services.services": Entry(For.CUSTOMERS, area=Area.SERVICES),
    **{f"customer_availability.{endpoint}": Entry(For.CUSTOMERS, area=Area.SERVICES) for endpoint in MONTH_PAGES},
    "customer_questions.ask": Entry(For.CUSTOMERS, area=Area.SERVICES, query="q=status"),
    **{f"customer_services.{endpoint}": SERVICE_OF_A for endpoint in ("service", "mails")},
    "customer_services.calendar": replace(
        SERVICE_OF_A,
        ours={"holding_id": "#holding_internet", "public_id": "@service_window"},
        missing={"holding_id": NO_ID, "public_id": NO_PUBLIC_ID},
        hidden=[{"holding_id": "#holding_hidden", "public_id": "@service_window"}],
        hidden_from_a=[{"holding_id": "#holding_telephony", "public_id": "@service_window"}],
    ),
    "customer_maintenances.slot": Entry(
        For.CUSTOMERS,
        ours={"public_id": "@maintenance_affected"},
        missing={"public_id": NO_PUBLIC_ID},
        hidden=[{"public_id": "@maintenance_private"}],
        hidden_from_a=[{"public_id": "@maintenance_affected"}],
        # B has asked already, which leads back to the work.
        answers=frozenset({204, 303, 404}),
        area=Area.STATUS,
    ),
    "customer_maintenances.freezes": Entry(For.CUSTOMERS, area=Area.STATUS),
    "customer_maintenances.remove": Entry(
        For.CUSTOMERS,
        ours={"public_id": "@freeze"},
        missing={"public_id": NO_PUBLIC_ID},
        hidden=[{"public_id": "#freeze"}],
        hidden_from_a=[{"public_id": "@freeze"}],
        answers=frozenset({303, 404}),
        area=Area.STATUS,
    ),
    **{
        f"customer_incidents.{endpoint}": Entry(
            For.CUSTOMERS,
            ours={"public_id": "@public"},
            missing={"public_id": NO_PUBLIC_ID},
            hidden=[{"public_id": "@private"}, {"public_id": "#public"}],
            hidden_from_a=[{"public_id": "@affected"}],
            answers=frozenset({303, 404}),
            area=Area.STATUS,
        )
        for endpoint in ("follow", "acknowledge")
    },
    "customer_incidents.seen": Entry(For.CUSTOMERS, answers=frozenset({204}), area=Area.STATUS),
    "customer_home.your_jobs": Entry(For.CUSTOMERS, area=Area.JOBS),
    "customer_home.your_quotes": Entry(For.CUSTOMERS, area=Area.QUOTES),
    "customer_jobs.jobs": Entry(For.CUSTOMERS, area=Area.JOBS),
    "customer_jobs.new": Entry(For.CUSTOMERS, area=Area.JOBS),
    "customer_jobs.book": Entry(For.CUSTOMERS, area=Area.JOBS),
    **{f"customer_jobs.{endpoint}": of_a("job", Area.JOBS) for endpoint in ("job", "add_files", "cancel")},
    "customer_quotes.quotes": Entry(For.CUSTOMERS, area=Area.QUOTES),
    "customer_quotes.new": Entry(For.CUSTOMERS, area=Area.QUOTES),
    "customer_quotes.ask": Entry(For.CUSTOMERS, area=Area.QUOTES),
    **{f"customer_quotes.{endpoint}": of_a("quote", Area.QUOTES) for endpoint in ("quote", "add_files", "cancel")},
    # A quote that is not sent leads back to itself.
    **{
        f"customer_quotes.{endpoint}": replace(of_a("quote", Area.QUOTES), answers=frozenset({204, 303, 404}))
        for endpoint in ("signing", "accept", "declining", "decline")
    },
    "customer_messages.conversation": Entry(
        For.CUSTOMERS,
        CASE,
        NO_CASE,
        hidden=[{"kind": "nothing", "key": "1"}],
        hidden_from_a=[{"kind": "case", "key": "C2"}],
        answers=OF_ONE_COMPANY,
        area=Area.MESSAGES,
    ),
    "customer_messages.write": Entry(
        For.CUSTOMERS,
        CASE,
        NO_CASE,
        hidden_from_a=[{"kind": "case", "key": "C2"}],
        answers=OF_ONE_COMPANY,
        area=Area.MESSAGES,
    ),
    "customer_files.upload": Entry(For.CUSTOMERS),
    **{
        f"customer_files.{endpoint}": Entry(
            For.CUSTOMERS,
            {"public_id": "@file_a"},
            NO_FILE,
            hidden=[{"public_id": "@file_a_note"}, {"public_id": "@file_b_note"}],
            hidden_from_a=[{"public_id": "@file_b"}],
            answers=OF_ONE_COMPANY,
        )
        for endpoint in ("file", "small", "discard")
    },
    "customer_account.password": Entry(For.CUSTOMERS),
    "customer_account.email": Entry(For.CUSTOMERS),
    "customer_account.end_one_session": Entry(For.CUSTOMERS, **NO_SESSION),
    "customer_account.end_other_sessions": Entry(For.CUSTOMERS),
    "customer_account.end_all_sessions": Entry(For.CUSTOMERS),
    "customer_preferences.preferences": Entry(For.CUSTOMERS),
    "customer_preferences.follow": Entry(For.CUSTOMERS),
    "customer_preferences.again": Entry(For.CUSTOMERS),
    "customer_preferences.stop_channel": Entry(For.CUSTOMERS, **NO_CHANNEL),
    # For a contact of the company alone; who is none is told so, in tests/customer/preferences.
    "customer_preferences.company": Entry(For.CUSTOMERS, answers=frozenset({200, 403})),
    "customer_account.account": Entry(For.CUSTOMERS),
    **{f"customer_calendar.{endpoint}": Entry(For.CUSTOMERS) for endpoint in ("calendar", "make")},
    **{
        f"customer_calendar.{endpoint}": Entry(For.CUSTOMERS, answers=frozenset({404})) for endpoint in ("renew", "end")
    },
    # Staff
    "admin_account.account": staff(For.STAFF),
    "admin_account.password": staff(For.STAFF),
    "admin_account.email": staff(For.STAFF),
    "admin_account.end_one_session": staff(For.STAFF, {"session_id": NO_ID}, answers=frozenset({404})),
    "admin_account.end_other_sessions": staff(For.STAFF),
    "admin_account.end_all_sessions": staff(For.STAFF),
    "admin_account.second_factor": staff(For.STAFF),
    "admin_account.begin": staff(For.STAFF),
    "admin_account.picture": staff(For.STAFF, answers=frozenset({404})),
    "admin_account.switch_on": staff(For.STAFF),
    "admin_account.renew_codes": staff(For.STAFF),
    "admin_account.remove": staff(For.STAFF),
    "admin_sign_in.policy": staff(For.ADMINS),
    "admin_dashboard.overview": staff(For.STAFF),
    "admin_components.component_list": staff(For.STAFF),
    "admin_components.component": staff(For.STAFF, COMPONENT),
    "admin_component_status.component_status": staff(For.STAFF, COMPONENT),
    "admin_component_status.set_component_status": staff(For.PUBLISHERS, COMPONENT),
    "admin_components.arrange": staff(For.PUBLISHERS),
    "admin_components.new_component": staff(For.PUBLISHERS),
    "admin_components.edit_component": staff(For.PUBLISHERS, COMPONENT),
    "admin_components.set_dependents": staff(For.PUBLISHERS, COMPONENT),
    "admin_components.archive_component": staff(For.PUBLISHERS, COMPONENT),
    "admin_components.restore_component": staff(For.PUBLISHERS, {"component_id": "#archived"}),
    "admin_components.new_group": staff(For.PUBLISHERS),
    "admin_components.group": staff(For.PUBLISHERS, {"group_id": "#group"}),
    "admin_components.remove_group": staff(For.PUBLISHERS, {"group_id": "#group"}),
    "admin_services.service_list": staff(For.STAFF),
    "admin_services.service": staff(For.STAFF, SERVICE),
    "admin_services.arrange": staff(For.PUBLISHERS),
    "admin_services.new_service": staff(For.PUBLISHERS),
    "admin_services.edit_service": staff(For.PUBLISHERS, SERVICE),
    "admin_services.archive_service": staff(For.PUBLISHERS, SERVICE),
    "admin_services.delete_service": staff(For.PUBLISHERS, SERVICE),
    "admin_services.add_starters": staff(For.PUBLISHERS),
    "admin_services.restore_service": staff(For.PUBLISHERS, {"service_id": "#service_retired"}),
    "admin_service_status.dashboard": staff(For.STAFF),
    "admin_service_status.choose": staff(For.PUBLISHERS),
    "admin_service_status.service": staff(For.STAFF, SERVICE),
    "admin_service_status.service_history": staff(For.STAFF, SERVICE),
    "admin_service_status.company": staff(For.STAFF, COMPANY),
    "admin_service_status.holding": staff(For.STAFF, {"holding_id": "#holding_internet"}),
    "admin_service_status.timeliness": staff(For.STAFF),
    "admin_service_settings.service_settings": staff(For.PUBLISHERS),
    "admin_availability.availability": staff(For.STAFF),
    "admin_availability.all_as_csv": staff(For.STAFF),
    "admin_availability.company": staff(For.STAFF, COMPANY),
    "admin_availability.company_as_csv": staff(For.STAFF, COMPANY),
    "admin_availability.contract": staff(For.ADMINS, COMPANY),
    "admin_availability_settings.availability_settings": staff(For.PUBLISHERS),
    "admin_service_status.starter_notes": staff(For.STAFF),
    "admin_service_status.new_starter": staff(For.PUBLISHERS),
    "admin_service_status.edit_starter": staff(For.PUBLISHERS, STARTER),
    "admin_service_status.delete_starter": staff(For.PUBLISHERS, STARTER),
    "admin_service_status.set_named": staff(For.PUBLISHERS, query="holding={holding_internet}"),
    "admin_service_status.preview_named": staff(For.PUBLISHERS),
    "admin_service_status.set_service": staff(For.PUBLISHERS, SERVICE),
    "admin_service_status.preview_service": staff(For.PUBLISHERS, SERVICE),
    "admin_service_status.update": staff(For.STAFF, SERVICE_UPDATE),
    "admin_service_status.undo": staff(For.PUBLISHERS, SERVICE_UPDATE),
    "admin_service_status.windows": staff(For.STAFF),
    "admin_service_status.window": staff(For.STAFF, SERVICE_WINDOW),
    "admin_service_status.preview_window": staff(For.PUBLISHERS, SERVICE_WINDOW),
    "admin_service_status.move": staff(For.PUBLISHERS, SERVICE_WINDOW),
    "admin_service_status.cancel": staff(For.PUBLISHERS, SERVICE_WINDOW),
    "admin_service_status.finish": staff(For.PUBLISHERS, SERVICE_WINDOW),
    "admin_companies.company_list": staff(For.STAFF),
    "admin_companies.company": staff(For.STAFF, COMPANY),
    "admin_companies.new_company": staff(For.ADMINS),
    "admin_companies.edit_company": staff(For.ADMINS, COMPANY),
    "admin_companies.archive_company": staff(For.ADMINS, COMPANY),
    "admin_companies.restore_company": staff(For.ADMINS, COMPANY),
    "admin_companies.view_as": staff(For.STAFF, COMPANY),
    "admin_companies.new_holding": staff(For.PUBLISHERS, COMPANY),
    "admin_companies.holding": staff(For.PUBLISHERS, HOLDING),
    "admin_companies.end_holding": staff(For.PUBLISHERS, HOLDING),
    "admin_companies.admit": staff(For.ADMINS, COMPANY),
    "admin_companies.dismiss": staff(For.ADMINS, COMPANY),
    "admin_companies.remove_exception": staff(For.ADMINS, COMPANY),
    "admin_people.people_list": staff(For.STAFF),
    "admin_people.roles": staff(For.STAFF),
    "admin_people.invite": staff(For.ADMINS),
    "admin_people.invite_staff": staff(For.ADMINS),
    "admin_people.person": staff(For.STAFF, HUMAN),
    "admin_people.edit_person": staff(For.ADMINS, HUMAN),
    "admin_people.set_role": staff(For.ADMINS, HUMAN),
    "admin_people.add_company": staff(For.ADMINS, HUMAN),
    "admin_people.remove_company": staff(For.ADMINS, PERSON),
    "admin_people.invite_again": staff(For.ADMINS, HUMAN),
    "admin_people.withdraw": staff(For.ADMINS, HUMAN),
    "admin_people.reset": staff(For.ADMINS, HUMAN),
    "admin_people.remove_factor": staff(For.ADMINS, HUMAN),
    "admin_people.end_sessions": staff(For.ADMINS, HUMAN),
    "admin_people.end_session": staff(For.ADMINS, {**HUMAN, "session_id": "#session"}),
    "admin_people.lift": staff(For.PUBLISHERS, {**HUMAN, "suppression_id": "#suppression"}),
    "admin_people.deactivate": staff(For.ADMINS, HUMAN),
    "admin_people.reactivate": staff(For.ADMINS, HUMAN),
    "admin_portals.portal_list": staff(For.ADMINS),
    "admin_portals.new_portal": staff(For.ADMINS),
    "admin_portals.portal": staff(For.ADMINS, DOMAIN),
    "admin_portals.edit_portal": staff(For.ADMINS, DOMAIN),
    "admin_portals.set_areas": staff(For.ADMINS, DOMAIN),
    "admin_portals.set_exception": staff(For.ADMINS, DOMAIN),
    "admin_portals.exceptions": staff(For.ADMINS, {**DOMAIN, "area": "status"}, {"domain_id": NO_ID, "area": "status"}),
    "admin_portals.preview": staff(For.ADMINS),
    "admin_portals.hosts": staff(For.ADMINS, DOMAIN),
    "admin_portals.add_host": staff(For.ADMINS, DOMAIN),
    "admin_portals.remove_host": staff(For.ADMINS, HOST),
    "admin_portals.check_host": staff(For.ADMINS, HOST),
    "admin_portals.remove_portal": staff(For.ADMINS, DOMAIN),
    "admin_portals.wording": staff(For.ADMINS, DOMAIN),
    "admin_portals.set_wording": staff(For.ADMINS, DOMAIN),
    "admin_portals.services": staff(For.ADMINS, DOMAIN),
    "admin_portals.set_services": staff(For.ADMINS, DOMAIN),
    "admin_portals.preview_services": staff(For.ADMINS, DOMAIN),
    "admin_portals.set_colours": staff(For.ADMINS, DOMAIN),
    "admin_portals.colours_sheet": staff(For.ADMINS, {**DOMAIN, "version": "1"}, {"domain_id": NO_ID, "version": "1"}),
    "admin_portals.services_of_company": staff(For.ADMINS, {**DOMAIN, **COMPANY}),
    "admin_portals.set_services_of_company": staff(For.ADMINS, {**DOMAIN, **COMPANY}),
    "admin_portals.remove_services_of_company": staff(For.ADMINS, {**DOMAIN, **COMPANY}),
    "admin_portals.public_page": staff(For.ADMINS, DOMAIN),
    "admin_portals.set_public_page": staff(For.ADMINS, DOMAIN),
    "admin_portals.companies": staff(For.ADMINS, DOMAIN),
    "admin_portals.admit": staff(For.ADMINS, DOMAIN),
    "admin_portals.dismiss": staff(For.ADMINS, DOMAIN),
    "admin_imports.imports": staff(For.ADMINS),
    "admin_imports.new_import": staff(For.ADMINS),
    "admin_imports.template": staff(For.ADMINS, {"kind_name": "companies"}, {"kind_name": "nothing"}),
    **{
        f"admin_imports.{name}": staff(For.ADMINS, {"run_id": "#import"})
        for name in (
            "one_import",
            "choose_columns",
            "back_to_columns",
            "plan_again",
            "stop",
            "apply",
            "discard",
            "refused_rows",
        )
    },
    "admin_audit.trail": staff(For.ADMINS),
    "admin_audit.entry": staff(For.ADMINS, {"entry_id": "#entry"}),
    "admin_audit.export": staff(For.ADMINS),
    "admin_exports.export_list": staff(For.ADMINS),
    "admin_exports.new_export": staff(For.ADMINS),
    "admin_exports.download": staff(For.ADMINS, {"run_id": "#export"}),
    "admin_exports.discard": staff(For.ADMINS, {"run_id": "#export"}),
    "admin_retention.rules": staff(For.ADMINS),
    "admin_assistant.permissions": staff(For.ADMINS),
    "admin_erasure.person": staff(For.ADMINS, {"person_id": "#alice"}),
    "admin_erasure.company": staff(For.ADMINS, {"company_id": "#company_closed"}),
    "admin_subscribers.subscriber_list": staff(For.STAFF),
    "admin_subscribers.subscriber": staff(For.STAFF, {"subscriber_id": "#room"}),
    "admin_subscribers.replay_delivery": staff(For.PUBLISHERS, {"subscriber_id": "#room", "delivery_id": "#delivery"}),
    "admin_subscribers.add": staff(For.PUBLISHERS),
    "admin_subscribers.bring_in": staff(For.PUBLISHERS),
    "admin_subscribers.export": staff(For.ADMINS),
    **{
        f"admin_subscribers.{action}": staff(For.PUBLISHERS, {"subscriber_id": "#subscriber"})
        for action in ("quarantine", "reactivate", "remove")
    },
    "admin_suppressions.suppression_list": staff(For.STAFF),
    "admin_suppressions.stop": staff(For.PUBLISHERS),
    "admin_suppressions.lift": staff(For.PUBLISHERS, {"suppression_id": "#suppression"}),
    "admin_preferences.of_person": staff(For.PUBLISHERS, HUMAN),
    "admin_preferences.follow": staff(For.PUBLISHERS, HUMAN),
    "admin_preferences.of_company": staff(For.PUBLISHERS, COMPANY),
    "admin_preferences.contact": staff(For.PUBLISHERS, PERSON),
    "admin_styleguide.styleguide": staff(For.STAFF),
    "admin_channels.channel_list": staff(For.ADMINS),
    "admin_channels.new_channel": staff(For.ADMINS, answers=frozenset({200, 302})),
    "admin_channels.channel": staff(For.ADMINS, CONTACT_CHANNEL),
    "admin_channels.test": staff(For.ADMINS, CONTACT_CHANNEL),
    "admin_channels.new_secret": staff(For.ADMINS, CONTACT_CHANNEL),
    "admin_channels.end_old_secret": staff(For.ADMINS, CONTACT_CHANNEL),
    "admin_channels.remove": staff(For.ADMINS, CONTACT_CHANNEL),
    "admin_relays.relay_list": staff(For.ADMINS),
    "admin_relays.arrange": staff(For.ADMINS),
    "admin_relays.new_relay": staff(For.ADMINS, answers=frozenset({200, 302})),
    "admin_relays.relay": staff(For.ADMINS, RELAY),
    "admin_relays.edit_relay": staff(For.ADMINS, RELAY, answers=frozenset({200, 302})),
    "admin_relays.test_relay": staff(For.ADMINS, RELAY),
    "admin_relays.mend_relay": staff(For.ADMINS, RELAY),
    "admin_relays.switch_off": staff(For.ADMINS, RELAY),
    "admin_relays.switch_on": staff(For.ADMINS, RELAY),
    "admin_relays.remove_relay": staff(For.ADMINS, RELAY),
    "admin_monitors.monitor_list": staff(For.ADMINS),
    "admin_monitors.new_monitor": staff(For.ADMINS, answers=frozenset({200, 302})),
    "admin_monitors.monitor_page": staff(For.ADMINS, MONITOR),
    "admin_monitors.edit_monitor": staff(For.ADMINS, MONITOR),
    "admin_monitors.renew_address": staff(For.ADMINS, MONITOR),
    "admin_monitors.remove_monitor": staff(For.ADMINS, MONITOR),
    "admin_tokens.token_list": staff(For.ADMINS),
    "admin_tokens.new_token": staff(For.ADMINS, answers=frozenset({200, 302})),
    "admin_tokens.revoke": staff(For.ADMINS, {"token_id": "#token"}),
    "admin_search.search": staff(For.STAFF, query="q=canary"),
    "admin_search.options": staff(For.STAFF, query="q=canary"),
    "admin_alerts.alert_list": staff(For.STAFF),
    "admin_alerts.alert_page": staff(For.STAFF, **ALERT),
    "admin_alerts.test_alert": staff(For.STAFF, **ALERT),
    **{f"admin_alerts.{each}": staff(For.PUBLISHERS, **ALERT) for each in ("switch_on", "switch_off", "archive_alert")},
    "admin_alert_rights.rights": staff(For.PUBLISHERS, {"company_id": "#company_a"}),
    "admin_alert_templates.template_list": staff(For.PUBLISHERS),
    "admin_alert_templates.new_template": staff(For.PUBLISHERS),
    "admin_alert_templates.preview_template": staff(For.PUBLISHERS),
    "admin_alert_templates.edit_template": staff(For.PUBLISHERS, {"template_id": "#alert_template"}),
    "admin_alert_templates.archive_template": staff(For.PUBLISHERS, {"template_id": "#alert_template"}),
    "admin_alert_forms.new_alert": staff(For.PUBLISHERS),
    "admin_alert_forms.rehearse": staff(For.PUBLISHERS),
    "admin_alert_forms.edit_alert": staff(For.PUBLISHERS, **ALERT),
    "admin_alert_forms.rehearse_edited": staff(For.PUBLISHERS, **ALERT),
    "admin_calls.companies": staff(For.STAFF),
    "admin_calls.calls": staff(For.STAFF, COMPANY),
    "admin_calls.upload_calls": staff(For.PUBLISHERS, COMPANY),
    "admin_metrics.metric_list": staff(For.PUBLISHERS),
    "admin_metrics.new_metric": staff(For.PUBLISHERS),
    "admin_metrics.metric_page": staff(For.PUBLISHERS, METRIC),
    "admin_metrics.edit_metric": staff(For.PUBLISHERS, METRIC),
    "admin_metrics.archive_metric": staff(For.PUBLISHERS, METRIC),
    "admin_metrics.restore_metric": staff(For.PUBLISHERS, METRIC),
    "admin_metrics.upload_samples": staff(For.PUBLISHERS, METRIC),
    "admin_announcements.announcement_list": staff(For.PUBLISHERS),
    "admin_announcements.new_announcement": staff(For.PUBLISHERS),
    "admin_announcements.announcement": staff(For.PUBLISHERS, ANNOUNCEMENT),
    "admin_announcements.end_announcement": staff(For.PUBLISHERS, ANNOUNCEMENT),
    "admin_announcements.remove_announcement": staff(For.PUBLISHERS, ANNOUNCEMENT),
    "admin_incidents.index": staff(For.STAFF),
    **{
        f"admin_incident_beside.{endpoint}": staff(For.STAFF, {"incident_id": "#public"})
        for endpoint in ("reach", "calls", "export_reach", "changes", "postmortem")
    },
    "admin_incident_beside.company_reach": staff(For.STAFF, {"incident_id": "#public", "company_id": "#company_a"}),
    **{
        f"admin_incident_beside.{endpoint}": staff(For.PUBLISHERS, {"incident_id": "#public"})
        for endpoint in ("write_postmortem", "hand_over", "merge")
    },
    **{
        f"admin_incident_beside.{endpoint}": staff(
            # Nothing is written of it yet: there is nothing to publish, and nothing to throw away.
            For.PUBLISHERS,
            {"incident_id": "#public"},
            answers=frozenset({303, 404}),
        )
        for endpoint in ("publish_postmortem", "discard_postmortem")
    },
    "admin_incident_drafts.index": staff(For.PUBLISHERS),
    "admin_incident_drafts.draft": staff(For.PUBLISHERS, DRAFT),
    "admin_incident_drafts.save": staff(For.PUBLISHERS, DRAFT),
    "admin_incident_drafts.publish": staff(For.PUBLISHERS, DRAFT),
    "admin_incident_drafts.discard": staff(For.PUBLISHERS, DRAFT),
    "admin_incident_templates.index": staff(For.PUBLISHERS),
    "admin_incident_templates.new": staff(For.PUBLISHERS),
    "admin_incident_templates.edit": staff(For.PUBLISHERS, INCIDENT_TEMPLATE),
    "admin_incident_templates.archive": staff(For.PUBLISHERS, INCIDENT_TEMPLATE),
    "admin_incident_templates.restore": staff(For.PUBLISHERS, INCIDENT_TEMPLATE),
    "admin_incident_templates.move": staff(For.PUBLISHERS, INCIDENT_TEMPLATE),
    "admin_incident_templates.starters": staff(For.PUBLISHERS),
    "admin_past_incidents.new": staff(For.PUBLISHERS),
    "admin_incidents.new": staff(For.PUBLISHERS),
    "admin_incidents.preview": staff(For.PUBLISHERS),
    "admin_incidents.mail_of_report": staff(For.PUBLISHERS),
    "admin_incidents.mail_of_update": staff(For.PUBLISHERS, {"incident_id": "#public"}),
    "admin_incidents.incident": staff(For.STAFF, {"incident_id": "#private"}),
    "admin_incidents.post_update": staff(For.PUBLISHERS, {"incident_id": "#public"}),
    "admin_incidents.preview_update": staff(For.PUBLISHERS, {"incident_id": "#public"}),
    "admin_incidents.edit": staff(For.PUBLISHERS, {"incident_id": "#public"}),
    "admin_incidents.edit_update": staff(For.PUBLISHERS, {"incident_id": "#public", "update_id": "#update"}),
    "admin_maintenances.index": staff(For.STAFF),
    "admin_maintenances.plan": staff(For.PUBLISHERS),
    "admin_maintenances.preview_plan": staff(For.PUBLISHERS),
    "admin_maintenances.mail_of_plan": staff(For.PUBLISHERS),
    "admin_maintenances.mail_of_step": staff(For.PUBLISHERS, WORK_OF_B),
    "admin_maintenances.maintenance": staff(For.STAFF, WORK_OF_B),
    "admin_maintenances.edit": staff(For.PUBLISHERS, WORK_OF_B),
    "admin_maintenances.preview_edit": staff(For.PUBLISHERS, WORK_OF_B),
    "admin_maintenances.preview_step": staff(For.PUBLISHERS, WORK_OF_B),
    **{f"admin_maintenances.{step}": staff(For.PUBLISHERS, WORK_OF_B) for step in WORK_STEPS},
    "admin_maintenances.series": staff(For.STAFF, SERIES),
    "admin_maintenances.edit_series": staff(For.PUBLISHERS, SERIES),
    "admin_maintenances.preview_series": staff(For.PUBLISHERS, SERIES),
    "admin_maintenances.stop_series": staff(For.PUBLISHERS, SERIES),
    "admin_maintenances.requests": staff(For.STAFF),
    "admin_maintenances.slot_request": staff(For.STAFF, SLOT),
    "admin_maintenances.preview_answer_form": staff(For.PUBLISHERS, SLOT),
    "admin_maintenances.answer": staff(For.PUBLISHERS, SLOT),
    "admin_maintenances.freezes": staff(For.STAFF),
    "admin_work_settings.job_statuses": staff(For.OFFICE),
    "admin_work_settings.quote_statuses": staff(For.OFFICE),
    "admin_leak_proof.proof": staff(For.OFFICE),
    "admin_work_settings.preview_jobs": staff(For.OFFICE),
    "admin_work_settings.preview_quotes": staff(For.OFFICE),
    "admin_work_sheet.sheet": staff(For.STAFF, {"version": "0" * 12}, {"version": "short"}),
    **work("job"),
    **work("quote"),
    "admin_my_work.my_work": staff(For.STAFF),
    "admin_my_work.item": staff(For.STAFF, {"number": "@job_a"}, {"number": "J-214748300"}),
    "admin_my_work.move": staff(For.OFFICE, {"number": "@quote_a"}, {"number": "Q-214748300"}),
    "admin_operation.operation": staff(For.ADMINS),
    "admin_operation.pause": staff(For.ADMINS),
    "admin_operation.resume": staff(For.ADMINS),
    "admin_sending.sending": staff(For.STAFF),
    "admin_bounces.bounces": staff(For.STAFF),
    "admin_templates.templates": staff(For.PUBLISHERS),
    **{
        f"admin_templates.{action}": staff(For.PUBLISHERS, WORDS, NO_WORDS)
        for action in ("words", "preview", "mail", "test", "reset")
    },
    "admin_templates.restore": staff(For.PUBLISHERS, WORDS, NO_WORDS),
    "admin_notices.notices": staff(For.PUBLISHERS),
    "admin_notices.new": staff(For.PUBLISHERS),
    "admin_notices.preview": staff(For.PUBLISHERS),
    "admin_notices.companies": staff(For.PUBLISHERS, query="company_q=canary"),
    "admin_notices.notice": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.edit": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.mail": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.test": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.schedule": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.unschedule": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.send": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.duplicate": staff(For.PUBLISHERS, NOTICE),
    "admin_notices.delete": staff(For.PUBLISHERS, NOTICE),
    "admin_quote_answers.answers": staff(For.STAFF, {"number": "@quote_a"}, {"number": "Q-999999"}),
    "admin_quote_answers.take_back": staff(
        For.STAFF,
        {"number": "@quote_a", "answer_id": NO_ID},
        {"number": "Q-999999", "answer_id": NO_ID},
    ),
    "admin_messages.waiting": staff(For.STAFF),
    "admin_messages.conversation": staff(For.STAFF, CASE, NO_CASE),
    "admin_messages.write": staff(For.STAFF, CASE, NO_CASE),
    "admin_messages.settle": staff(For.STAFF, CASE, NO_CASE),
    "admin_messages.delete": staff(
        For.STAFF, {**CASE, "public_id": "@message_a"}, {**NO_CASE, "public_id": "@message_a"}
    ),
    "admin_files.upload": staff(For.STAFF),
    "admin_files.file": staff(For.STAFF, {"public_id": "@file_a"}, NO_FILE),
    "admin_files.small": staff(For.STAFF, {"public_id": "@file_a"}, NO_FILE, answers=frozenset({404})),
    "admin_files.discard": staff(For.STAFF, {"public_id": "@file_a"}, NO_FILE),
    "admin_files.delete": staff(For.STAFF, {"public_id": "@file_a"}, NO_FILE),
    "admin_broadcasts.broadcasts": staff(For.STAFF),
    "admin_broadcasts.broadcast": staff(For.STAFF, BROADCAST),
    "admin_broadcasts.progress": staff(For.STAFF, BROADCAST),
    "admin_broadcasts.pause": staff(For.PUBLISHERS, BROADCAST),
    "admin_broadcasts.resume": staff(For.PUBLISHERS, BROADCAST),
    "admin_broadcasts.cancel": staff(For.PUBLISHERS, BROADCAST),
    "admin_broadcasts.retry": staff(For.PUBLISHERS, BROADCAST),
    "admin_broadcasts.mend_relay": staff(For.PUBLISHERS, {**BROADCAST, "relay_id": "#relay"}),
}


def routes(app: Flask) -> list[Rule]:
    """Every route, by path."""
    return sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule)


def address(app: Flask, world: World, rule: Rule, values: Values) -> str:
    """The path of a route with these values in it."""
    found = resolve(world, values)
    with app.test_request_context("/", base_url=f"http://{STAFF_HOST}"):
        for parameter, value in found.items():
            if value == "%portal.css":
                found[parameter] = address_of("portal.css").rpartition("/")[2]
            elif value == "%brand":
                found[parameter] = brand_address("staff").rpartition("/")[2]
            elif value == "%unsubscribe":
                found[parameter] = unsubscribe_path("stranger@people.test", "incidents", None).rpartition("/")[2]
    built = rule.build(found)
    assert built is not None
    query = RIGHTS[rule.endpoint].query.format_map(world.ids)
    return built[1] + (f"?{query}" if query else "")
