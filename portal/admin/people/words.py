"""How roles and what they may do are said on staff screens. The truth is the table in `accounts/rules`."""

from typing import NamedTuple

from portal.accounts.rules import ALLOWED, Permission, Role, may

ROLE_WORDS: dict[Role | None, tuple[str, str]] = {
    None: ("Customer", "No staff screens. What they see follows from the companies they act for."),
    Role.OFFICE: ("Office", "Looks things up for customers, and looks at a portal as they see it."),
    Role.STATUS: ("Status", "Keeps the catalogue, publishes incidents and steers what is mailed about them."),
    Role.ADMIN: ("Admin", "Everything, with people, portals, keys and settings."),
}
"""By role: its name, and in one sentence whom it is for."""

PERMISSION_WORDS: dict[Permission, tuple[str, str]] = {
    Permission.STAFF_ENTER: ("Enter", "Sign in to the staff screens and see incidents, the catalogue and broadcasts."),
    Permission.INCIDENTS_PUBLISH: ("Publish incidents", "Publish an incident, post updates on it and correct them."),
    Permission.SERVICES_SET: (
        "Set service statuses",
        "Say how the services of companies are, one or many at once, plan service on them, and tell their people.",
    ),
    Permission.CATALOGUE_EDIT: (
        "Edit the catalogue",
        "Add, change and archive components and services, and say who holds what.",
    ),
    Permission.SUPPRESSIONS_EDIT: (
        "Say who is mailed",
        "Stop mails to an address, let them go again, and change what people and companies are mailed about.",
    ),
    Permission.ALERTS_EDIT: (
        "Set up alerts",
        "Say which figures of customers are watched, who is told when and in which words, and what customers may.",
    ),
    Permission.BROADCASTS_STEER: ("Steer broadcasts", "Pause, go on with, cancel and repeat what is being mailed."),
    Permission.NOTICES_SEND: ("Send notices", "Write to chosen companies by hand, and send it at once or later."),
    Permission.COMPANIES_READ: (
        "See companies and people",
        "Look up customers, who their people are, what they hold and which mails reached them.",
    ),
    Permission.COMPANIES_EDIT: (
        "Edit companies",
        "Add, rename and archive companies, invite their people and say where they sign in.",
    ),
    Permission.COMPANIES_VIEW_AS: (
        "View as customer",
        "Open a portal as a company sees it, without being able to change anything there.",
    ),
    Permission.WORK_EDIT: (
        "Run the work",
        "Make and change jobs and quotes, move them on, price them, and write to customers about them.",
    ),
    Permission.WORK_SETTINGS_EDIT: (
        "Decide what customers see of work",
        "Name, order and colour the statuses of jobs and quotes, for staff and in the portal.",
    ),
    Permission.PORTALS_EDIT: ("Edit portals", "Set up portal domains: brand, host, areas, and exceptions from them."),
    Permission.PEOPLE_EDIT: (
        "Manage people",
        "Invite staff, change roles, end sessions, take away a second factor, deactivate and let in again.",
    ),
    Permission.CHANNELS_EDIT: (
        "Set up channels",
        "Say where companies and staff are told by text, in Slack or Teams, or by webhook.",
    ),
    Permission.RELAYS_EDIT: ("Set up relays", "Say through which mail servers mails go out, how many, and test them."),
    Permission.TOKENS_EDIT: ("Manage API tokens", "Make keys for machines, and take them back."),
    Permission.RECORDS_IMPORT: ("Import", "Bring in companies, people, components, services and holdings from files."),
    Permission.RECORDS_EXPORT: ("Export", "Take out everything that is kept about a company."),
    Permission.RETENTION_EDIT: ("Set retention", "Say how long records are kept before they are removed."),
    Permission.AUDIT_READ: ("Read the audit", "Search who changed what, when, and from where."),
    Permission.OPERATION_STEER: ("Operate", "See how the installation fares, and let sending go on after a restore."),
}
"""By permission: its name, and in one plain sentence what it allows."""


class PermissionRow(NamedTuple):
    """One line of the table of rights: `holders` are the roles that may do it."""

    name: str
    sentence: str
    holders: frozenset[Role]


def permission_rows() -> list[PermissionRow]:
    """The table of rights as it is in force, what most roles may do first."""
    rows = [
        PermissionRow(*PERMISSION_WORDS[each], frozenset(role for role in Role if may(role, each)))
        for each in Permission
    ]
    return sorted(rows, key=lambda row: -len(row.holders))


def allowed_words(role: Role | None) -> list[str]:
    """What a role may do, as names; nothing for a customer."""
    return [PERMISSION_WORDS[each][0] for each in Permission if role is not None and each in ALLOWED[role]]
