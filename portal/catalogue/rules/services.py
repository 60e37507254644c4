"""What a service says of itself: its drawing, the other names it goes by, what is mailed of it, and the first few."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from portal.accounts.rules import one_line, text_key

ICONS: dict[str, str] = {
    "mail": "E-mail",
    "cloud": "Cloud",
    "globe": "Internet",
    "wifi": "Wireless",
    "phone": "Telephone",
    "mobile": "Mobile",
    "video": "Video",
    "message": "Messages",
    "server": "Server",
    "database": "Storage",
    "shield": "Security",
    "lock": "Access",
    "monitor": "Workplace",
    "printer": "Printing",
    "card": "Payments",
    "users": "People",
    "layers": "Layers",
    "link": "Connection",
}
"""The drawings a service may have, by their names in `components/icon.html`, and what each is called."""

STATUSES = ("operating_normally", "scheduled_service", "intermittent_problems", "system_is_down")
"""The statuses of services, mildest first, by the values `services.rules.ServiceStatus` gives them."""

ALIASES_AT_MOST = 20
ALIAS_LENGTH = 60

PARTED = re.compile(r"[,;|\r\n]")
"""What stands between aliases where they are typed in one field, and so in none of them."""


class DetailError(ValueError):
    """One of the details is wrong: a sentence that says what to do, and the field it belongs beside."""

    def __init__(self, sentence: str, field: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


@dataclass(frozen=True)
class Details:
    """What a service has beside its name, category and description; `notifies` is None where every status is mailed."""

    icon: str = ""
    aliases: tuple[str, ...] = ()
    notifies: tuple[str, ...] | None = None


PLAIN = Details()
"""No drawing, no other names, and every status is mailed."""


def clean_details(details: Details, name: str) -> Details:
    """The details as they are stored, of a service of this name; DetailError where one of them cannot be."""
    return Details(
        clean_icon(details.icon), tuple(clean_aliases(details.aliases, name)), clean_notifies(details.notifies)
    )


def clean_icon(icon: str) -> str:
    """The name of a drawing, or "" for none."""
    if icon and icon not in ICONS:
        raise DetailError("Choose one of the icons.", "icon")
    return icon


def clean_aliases(aliases: Iterable[str], name: str) -> list[str]:
    """Each alias once, in the order given, none of them the name itself. Commas, semicolons and bars part them."""
    found: dict[str, str] = {}
    for alias in (one_line(part) for text in aliases for part in PARTED.split(text)):
        key = text_key(alias)
        if max(len(alias), len(key)) > ALIAS_LENGTH:
            raise DetailError(f"Another name has at most {ALIAS_LENGTH} characters.", "aliases")
        if key and key != text_key(name):
            found.setdefault(key, alias)
    if len(found) > ALIASES_AT_MOST:
        raise DetailError(f"A service has at most {ALIASES_AT_MOST} other names.", "aliases")
    return list(found.values())


def clean_notifies(notifies: Collection[str] | None) -> tuple[str, ...] | None:
    """The statuses that are mailed, mildest first; None for all of them, so that it stays all."""
    if notifies is None or set(notifies) == set(STATUSES):
        return None
    if not set(notifies) <= set(STATUSES):
        raise DetailError("Choose among the four statuses.", "notifies")
    return tuple(each for each in STATUSES if each in notifies)


def alias_keys(aliases: Iterable[str]) -> str:
    """The compared forms of aliases, a line each, as they are searched."""
    return "\n".join(text_key(alias) for alias in aliases)


@dataclass(frozen=True)
class Starter:
    """A service that most providers sell, to begin with."""

    key: str
    name: str
    category: str
    description: str
    icon: str
    aliases: tuple[str, ...]


STARTERS = (
    Starter(
        "email",
        "Email / Microsoft 365",
        "Cloud Services",
        "Mailboxes, calendars, Teams and files.",
        "mail",
        ("Email", "Mail", "Outlook", "Exchange", "Office 365", "M365", "Teams", "OneDrive", "SharePoint", "E-Mail"),
    ),
    Starter(
        "internet",
        "Internet Connectivity",
        "Network",
        "The line to the internet, and what hangs on it.",
        "globe",
        ("Internet", "Broadband", "Fibre", "Connection", "Network", "Wi-Fi", "WLAN", "DSL", "Leitung"),
    ),
    Starter(
        "voip",
        "VoIP Phone System",
        "Communications",
        "Telephones, numbers, queues and voicemail.",
        "phone",
        ("Phone", "Phones", "Telephone", "Telephony", "VoIP", "Calls", "PBX", "Telefon", "Telefonanlage"),
    ),
    Starter(
        "servers",
        "On-Premise Servers",
        "Infrastructure",
        "Servers in your own rooms, looked after by us.",
        "server",
        ("Server", "Servers", "File server", "Shared drive", "Domain controller", "Netzlaufwerk"),
    ),
    Starter(
        "backup",
        "Backup Systems",
        "Data Protection",
        "Copies of your data, and bringing them back.",
        "database",
        ("Backup", "Backups", "Restore", "Recovery", "Datensicherung"),
    ),
    Starter(
        "security",
        "Security Monitoring",
        "Security",
        "Firewalls, endpoint protection and somebody who watches them.",
        "shield",
        ("Security", "Antivirus", "Firewall", "Endpoint protection", "SOC", "Sicherheit", "Virenschutz"),
    ),
)
"""What an empty list of services offers, once."""
