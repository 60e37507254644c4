"""The demo business: a regional carrier with a voice brand and an IT brand, its catalogue and its customers.

Everything is invented; host names end in .localhost and addresses in .example, which exist nowhere.
"""

from typing import NamedTuple


class Portal(NamedTuple):
    host: str
    brand: str
    accent: str
    language: str
    time_zone: str
    support_email: str
    support_phone: str
    support_hours: str
    tagline: str
    further_hosts: tuple[str, ...] = ()
    wordings: tuple[tuple[str, str], ...] = ()


PORTALS = {
    "north": Portal(
        host="north.localhost",
        brand="Northline Voice",
        accent="#1f5fbf",
        language="en",
        time_zone="Europe/London",
        support_email="support@northline.example",
        support_phone="+44 20 7946 0120",
        support_hours="Monday to Friday, 8:00 to 18:00",
        tagline="Phones and fibre for the North",
        further_hosts=("phones.north.localhost",),
    ),
    "south": Portal(
        host="south.localhost",
        brand="Südwerk IT",
        accent="#0f766e",
        language="de",
        time_zone="Europe/Berlin",
        support_email="hilfe@suedwerk.example",
        support_phone="+49 89 5550 1420",
        support_hours="Montag bis Freitag, 7:30 bis 17:00 Uhr",
        tagline="Telefon, Internet und Server aus Oberbayern",
        wordings=(
            ("severity.performance_issue", "Langsamer als sonst"),
            ("severity.partial_rth", "Teilweise gestört"),
            ("severity.major_outage", "Ausgefallen"),
            ("state.watching", "Behoben, wir beobachten"),
        ),
    ),
}

GROUPS: dict[str, list[tuple[str, str, str]]] = {
    "Voice platform": [
        (
            "sip-lon",
            "SIP edge London",
            "Session border controllers in London Docklands; where northern trunks register.",
        ),
        ("sip-fra", "SIP edge Frankfurt", "Session border controllers in Frankfurt; where southern trunks register."),
        ("pbx", "Hosted PBX cluster", "Extensions, queues, voicemail and call recording."),
        ("fax", "Fax and T.38 gateway", ""),
        ("portability", "Number porting desk", "Porting orders to and from other carriers."),
    ],
    "Carriers": [
        ("uk-inter", "UK interconnect", "Termination to UK geographic and mobile numbers."),
        ("de-inter", "German interconnect", "Termination to German geographic and mobile numbers."),
        ("intl", "International routes", "Termination outside the UK and Germany."),
        ("toll-free", "Freephone and 0800 routing", "Inbound freephone numbers in both countries."),
    ],
    "Access network": [
        ("fibre-n", "Fibre access North", "FTTP and leased lines between Leeds and Newcastle."),
        ("fibre-s", "Fibre access South", "FTTH and leased lines in Upper Bavaria."),
        ("mobile-bk", "Mobile backup", "4G and 5G failover of access lines."),
        ("core", "IP core and peering", "The backbone between our sites and to other networks."),
    ],
    "Cloud and hosting": [
        ("m365", "Microsoft 365 tenants", "Mail, Teams and SharePoint as administered by us."),
        ("hosting", "Virtual server cluster", "Customer servers in our Munich data centre."),
        ("backup", "Backup vault", "Nightly backups and restores."),
        ("vpn", "Remote access gateway", "VPN for people working from elsewhere."),
    ],
    "Customer tools": [
        ("portal", "Customer portal", "This portal, and mails sent from it."),
        ("noc", "Monitoring and alarms", ""),
    ],
}
"""Component groups, and in each (key, title, description)."""


class DemoService(NamedTuple):
    name: str
    category: str
    description: str
    components: tuple[str, ...]
    icon: str
    aliases: tuple[str, ...]


SERVICES: dict[str, DemoService] = {
    "telephony": DemoService(
        "Hosted telephony",
        "Telephony",
        "Desk phones and softphones on our exchange.",
        ("sip-lon", "pbx", "uk-inter"),
        "phone",
        ("Phones", "Telephone", "Calls", "VoIP", "PBX", "Voicemail", "Extensions"),
    ),
    "trunks": DemoService(
        "SIP trunks",
        "Telephony",
        "Lines for a telephone system of your own.",
        ("sip-lon", "uk-inter", "intl"),
        "phone",
        ("Trunk", "Phone lines", "SIP", "ISDN"),
    ),
    "freephone": DemoService(
        "Freephone numbers",
        "Telephony",
        "0800 numbers and their routing.",
        ("toll-free",),
        "message",
        ("0800", "0808", "Toll-free"),
    ),
    "telephony-de": DemoService(
        "Cloud-Telefonie",
        "Telefonie",
        "Tischtelefone und Softphones an unserer Anlage.",
        ("sip-fra", "pbx", "de-inter"),
        "phone",
        ("Telefon", "Telefonanlage", "Anrufe", "Telefonie", "VoIP", "Anlage", "Phones"),
    ),
    "fibre": DemoService(
        "Fibre internet",
        "Internet",
        "Business fibre with a fixed address.",
        ("fibre-n", "core"),
        "globe",
        ("Internet", "Broadband", "Connection", "Line", "Wi-Fi", "FTTP"),
    ),
    "fibre-de": DemoService(
        "Glasfaser-Internet",
        "Internet",
        "Glasfaser mit fester Adresse.",
        ("fibre-s", "core"),
        "globe",
        ("Internet", "Glasfaser", "Leitung", "Netz", "WLAN", "FTTH"),
    ),
    "failover": DemoService(
        "Mobile backup line",
        "Internet",
        "Takes over when the fibre fails.",
        ("mobile-bk",),
        "mobile",
        ("4G", "5G", "Failover", "Mobilfunk-Reserve"),
    ),
    "m365": DemoService(
        "Microsoft 365",
        "Arbeitsplatz",
        "Postfächer, Teams und Dateien.",
        ("m365",),
        "mail",
        ("E-Mail", "Email", "Outlook", "Exchange", "Teams", "OneDrive", "SharePoint", "Office"),
    ),
    "servers": DemoService(
        "Virtual servers",
        "Hosting",
        "Servers in our own data centre.",
        ("hosting", "core"),
        "server",
        ("Server", "Servers", "VM", "File server", "Rechner"),
    ),
    "backup": DemoService(
        "Backup",
        "Hosting",
        "Nightly copies, kept for ninety days.",
        ("backup",),
        "database",
        ("Backups", "Restore", "Datensicherung", "Sicherung"),
    ),
    "vpn": DemoService(
        "Remote access",
        "Workplace",
        "VPN for people on the road.",
        ("vpn", "core"),
        "lock",
        ("VPN", "Home office", "Homeoffice", "Fernzugriff"),
    ),
}

REFERENCES = {
    "telephony": "TEL",
    "trunks": "SIP",
    "freephone": "FPH",
    "telephony-de": "ANL",
    "fibre": "FTTP",
    "fibre-de": "FTTH",
    "failover": "4G",
    "m365": "TEN",
    "servers": "VM",
    "backup": "BKP",
    "vpn": "VPN",
}
"""What the reference of a holding begins with, by service."""

NORTH_COMPANIES: list[tuple[str, tuple[str, ...]]] = [
    ("Alder & Vale Solicitors", ("telephony", "fibre")),
    ("Ashworth Dental Group", ("telephony", "fibre", "failover")),
    ("Beckside Veterinary Practice", ("telephony",)),
    ("Brontë Tea Rooms", ("fibre",)),
    ("Calder Precision Engineering", ("trunks", "fibre", "servers")),
    ("Castlegate Letting Agents", ("telephony", "fibre")),
    ("Copperfield Accountancy", ("telephony", "backup")),
    ("Dalesway Coaches", ("telephony", "freephone")),
    ("Eskdale Housing Association", ("trunks", "fibre", "vpn")),
    ("Fennel & Rye Bakery", ("telephony",)),
    ("Goathland Outdoor Supplies", ("freephone", "fibre")),
    ("Harewood Travel", ("telephony", "freephone", "fibre")),
    ("Hebden Community Radio", ("fibre", "servers")),
    ("Ilkley Physiotherapy", ("telephony",)),
    ("Kirkstall Logistics", ("trunks", "fibre", "failover")),
    ("Malham Cheese Company", ("telephony", "fibre")),
    ("Nidd Valley Insurance Brokers", ("trunks", "fibre", "backup")),
    ("Otley Print Works", ("telephony", "fibre")),
    ("Pennine Contact Centres", ("trunks", "freephone", "fibre", "failover")),
    ("Roundhay Primary Academy", ("telephony", "fibre", "vpn")),
    ("Saltaire Architects", ("telephony", "servers", "vpn")),
    ("Thornton Motor Factors", ("telephony", "fibre")),
    ("Wharfedale Care Homes", ("trunks", "fibre", "failover")),
    ("Yarrow Wealth Management", ("telephony", "fibre", "backup")),
]
"""Companies of the northern portal with the services they hold."""

SOUTH_COMPANIES: list[tuple[str, tuple[str, ...]]] = [
    ("Ammersee Segelschule", ("telephony-de",)),
    ("Bäckerei Huber", ("telephony-de", "fibre-de")),
    ("Brauhaus Grünwald", ("fibre-de", "m365")),
    ("Chiemgau Holzbau", ("telephony-de", "fibre-de", "backup")),
    ("Elektro Lindner", ("telephony-de", "m365")),
    ("Feldmann & Partner Steuerberater", ("telephony-de", "fibre-de", "m365", "backup")),
    ("Gasthof Zur Post", ("telephony-de", "fibre-de")),
    ("Hofer Maschinenbau", ("fibre-de", "servers", "backup", "vpn")),
    ("Isartal Apotheken", ("telephony-de", "fibre-de", "failover")),
    ("Kanzlei Dr. Roth", ("telephony-de", "m365", "vpn")),
    ("Lechfeld Spedition", ("telephony-de", "fibre-de", "servers")),
    ("Oberland Kliniken", ("telephony-de", "fibre-de", "failover", "servers", "vpn")),
    ("Pfaffinger Gartenbau", ("telephony-de",)),
    ("Rosenheimer Verlag", ("m365", "servers")),
    ("Tegernsee Immobilien", ("telephony-de", "m365")),
    ("Zahnzentrum Weilheim", ("telephony-de", "fibre-de")),
]
"""Companies of the southern portal with the services they hold."""

FIRST_NAMES = {
    "north": "Aisha Ben Charlotte Daniel Emma Farah George Hannah Imran Jack Kavita Liam Maya Nathan Olivia Priya Quentin "
    "Rachel Samir Tom Una Victor Wendy Zoe".split(),
    "south": "Anna Bernd Claudia Dieter Eva Florian Greta Hans Ines Jonas Katharina Lukas Marie Niklas Petra Ralf Sabine "
    "Thomas Ursula Veronika Wolfgang Yasmin".split(),
}
LAST_NAMES = {
    "north": "Ahmed Barker Clegg Dyson Ellis Firth Greenwood Haigh Iqbal Jowett Kaur Lister Mistry Naylor Oldroyd Patel "
    "Ramsden Shah Sutcliffe Tordoff Walker Whitaker".split(),
    "south": "Aigner Bauer Demir Eder Fischer Gruber Huber Kaya Lang Maier Neumann Obermeier Pichler Reiter Schmid "
    "Stadler Vogl Wagner Yılmaz Zeller".split(),
}

CLOSED_AREA = ("Brontë Tea Rooms", "services")
"""A company of the northern portal and the access area that is closed for it alone."""

SECOND_COMPANY = ("customer@harewood-travel.example", "Otley Print Works")
"""Somebody who acts for a second company, and which."""

LEAVER = "Pennine Contact Centres"
"""The company one of whose people has left and is deactivated."""

NEW_COLLEAGUE = ("Ruth Adeyemi", "ruth.adeyemi@demo.example")
"""Invited to the staff, and not here yet."""

MOVED_IN = (
    ("Settle Bookshop", "MDN-2041", ("telephony", "fibre")),
    ("Skipton Boat Hire", "MDN-2042", ("telephony",)),
    ("Whitby Smokehouse", "MDN-2043", ("telephony", "fibre", "failover")),
)
"""Companies of a small provider taken over: brought in by a file, each with its number there and what it holds."""

COMPANIES_CSV = "".join(
    f"{line}\r\n"
    for line in (
        "Customer name,Customer number,Portal",
        *(f"{name},{number},north.localhost" for name, number, _held in MOVED_IN),
        ",MDN-2044,north.localhost",
        "Hebden Community Radio,MDN-2045,north.localhost",
    )
)
"""Their companies as the old system wrote them: one row has lost its name, and one is a customer already."""

PEOPLE_CSV = "".join(
    f"{line}\r\n"
    for line in (
        "E-mail,Contact,Customer number",
        "nora@settle-bookshop.example,Nora Whitfield,MDN-2041",
        "accounts@settle-bookshop.example,Peter Whitfield,MDN-2041",
        "hello@skipton-boats.example,Ifeoma Lumb,MDN-2042",
        "office@whitby-smokehouse.example,Callum Storr,MDN-2043",
        "shop@whitby-smokehouse.example,Beth Storr,MDN-2043",
    )
)
"""Their people, each with the number of the company."""

BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
)
"""What people sign in with."""

DRAFTS: list[tuple[str, str, dict[str, dict[str, str]]]] = [
    (
        "north",
        "",
        {
            "en": {
                "subject": "How to reach us over the holidays",
                "body": "Dear {{name}},\n\nfrom **24 December to 1 January** we answer the phone from 9:00 to 13:00. "
                "Outside these hours outages are looked after as always; report them at [your portal]({{portal_url}}).\n\n"
                "* Orders placed after 22 December are carried out in the new year.\n"
                "* Number porting pauses from 23 December to 3 January.\n\n"
                "Thank you for a good year with {{company}}.",
            }
        },
    ),
    (
        "",
        "m365",
        {
            "en": {
                "subject": "Microsoft 365: new prices from February",
                "body": "Dear {{name}},\n\nMicrosoft raises the prices of its licences. From **1 February** this also "
                "changes what you pay for {{services}}. Your new prices are in your next quote; nothing is asked of you.",
            },
            "de": {
                "subject": "Microsoft 365: neue Preise ab Februar",
                "body": "Guten Tag {{name}},\n\nMicrosoft erhöht die Preise seiner Lizenzen. Ab dem **1. Februar** ändert "
                "sich damit auch, was Sie für {{services}} zahlen. Die neuen Preise stehen in Ihrem nächsten Angebot; zu tun "
                "ist nichts.",
            },
        },
    ),
]
"""Notices somebody has begun to write: to the companies at home on a portal domain, to the holders of a service, and
what they say."""

ANNOUNCEMENTS: dict[str, dict[str, dict[str, str]]] = {
    "north": {
        "en": {
            "title": "Our phone number for outages has changed",
            "body": "Report outages at **+44 20 7946 0121** from now on. The old number is forwarded until the end of the "
            "year. Nothing is broken.",
        }
    },
    "south": {
        "de": {
            "title": "Neue Nummer für Störungen",
            "body": "Störungen melden Sie ab sofort unter **+49 89 5550 1421**. Die alte Nummer leiten wir bis zum "
            "Jahresende weiter. Es ist nichts gestört.",
        },
        "en": {
            "title": "A new number for outages",
            "body": "Report outages at **+49 89 5550 1421** from now on. The old number is forwarded until the end of the "
            "year. Nothing is broken.",
        },
    },
}
"""What a portal domain tells everybody though nothing is broken, by the portal's key."""
