"""What the demo business does for its customers: jobs and quotes of the past year and of these days, and what is written
about them.

A time is days before now; of a day in the past the fraction says how early: 3.9 is in the morning three days ago, 3.1 in
its afternoon.
"""

from typing import NamedTuple

from portal.jobs.rules import Role

CUSTOMER, OFFICE, NOTE = "customer", "office", "note"

PARTS, PARTS_COLOUR = "Waiting for parts", "#b45309"
"""A work status of jobs the office has added; customers read “On hold”."""

RENAMED = {Role.IN_PROGRESS: "We are on it", Role.SENT: "Offer ready"}
"""Work statuses that are called something else in the portal."""

TAX = {"GBP": 2000, "EUR": 1900}
"""Value added tax of each currency's country, in hundredths of a percent."""

TERMS = {
    "north": "Prices are fixed for the term. Payable within 30 days of the invoice. The term begins on the day of "
    "installation; either side may end it with three months' notice.",
    "south": "Zahlbar innerhalb von 14 Tagen ohne Abzug. Die Laufzeit beginnt mit der Installation; beide Seiten können "
    "mit einer Frist von drei Monaten kündigen.",
}


class Said(NamedTuple):
    """A message: when, who wrote it, and what. A note is for staff only."""

    ago: float
    who: str
    text: str


class Job(NamedTuple):
    """A job: whose, what, when it was asked for, and what has become of it since.

    `steps` are (days ago, the status it went to: a role, or the name of one the office added). `window` is days from
    today, the hour it begins on the company's clocks, and its hours.
    """

    company: str
    title: str
    ago: float
    steps: tuple[tuple[float, Role | str], ...] = ()
    window: tuple[int, int, int] | None = None
    description: str = ""
    site: str = ""
    holds: str | None = None
    is_booked: bool = False
    assignee: str | None = None
    said: tuple[Said, ...] = ()


class Line(NamedTuple):
    """A line of a quote, its price in minor units."""

    description: str
    quantity: int
    price: int


class Quote(NamedTuple):
    """A quote, likewise. `answer` is None, or (days ago, the reason it was declined for; empty for an accepted one)."""

    company: str
    title: str
    ago: float
    lines: tuple[Line, ...] = ()
    sent: float | None = None
    answer: tuple[float, str] | None = None
    description: str = ""
    site: str = ""
    is_asked: bool = False
    assignee: str | None = None
    valid: int = 30
    said: tuple[Said, ...] = ()


TOM, MIRIAM = "office@demo.example", "admin@demo.example"

JOBS = (
    Job(
        "Harewood Travel",
        "Move two desk phones to the new front desk",
        6.7,
        ((5.6, Role.SCHEDULED),),
        window=(2, 9, 2),
        description="The front desk moves to the window side. Extensions 201 and 202 should ring there from Tuesday on.",
        site="14 Station Parade, Harrogate",
        holds="telephony",
        is_booked=True,
        assignee=TOM,
        said=(
            Said(
                5.5,
                OFFICE,
                "Thank you for booking. There is a network socket by the window already, so we need about an hour.",
            ),
            Said(1.4, CUSTOMER, "Could you come before we open at 9:30? It would be quieter for everybody."),
        ),
    ),
    Job(
        "Harewood Travel",
        "Second fibre socket in the back office",
        0.12,
        description="We are moving the booking team to the back office and need a socket there, next to the printer.",
        site="14 Station Parade, Harrogate",
        holds="fibre",
        is_booked=True,
    ),
    Job(
        "Alder & Vale Solicitors",
        "Replace the conference phone in meeting room 2",
        9.6,
        ((8.7, Role.SCHEDULED), (3.6, PARTS)),
        window=(3, 13, 2),
        description="The present one drops calls after half an hour.",
        site="Vale House, 3 Park Row, Leeds",
        holds="telephony",
        is_booked=True,
        assignee=TOM,
        said=(
            Said(3.5, OFFICE, "The new phone is on back order. It should reach us this week; the appointment stands."),
            Said(3.4, NOTE, "Supplier says Tuesday. If it slips again, lend them the one from our own meeting room."),
        ),
    ),
    Job(
        "Ashworth Dental Group",
        "Fibre and phones for the new surgery in Headingley",
        20.8,
        ((17.5, Role.SCHEDULED), (1.8, Role.IN_PROGRESS)),
        window=(-1, 8, 8),
        description="Fibre line, eight phones, and a mobile backup line before the surgery opens.",
        site="61 Otley Road, Leeds",
        holds="fibre",
        assignee=MIRIAM,
        said=(
            Said(
                1.6, OFFICE, "The line is in and measures well. The phones follow as soon as the reception desk stands."
            ),
            Said(0.9, CUSTOMER, "The desk was put up on Saturday. You can come any day from 8."),
        ),
    ),
    Job(
        "Calder Precision Engineering",
        "Add ten channels to the SIP trunk",
        4.6,
        ((3.8, Role.SCHEDULED),),
        window=(1, 7, 1),
        description="For the new sales team. A short interruption before 8:00 is fine.",
        site="Calder Mills, Hebden Bridge",
        holds="trunks",
        assignee=TOM,
    ),
    Job(
        "Kirkstall Logistics",
        "Move the comms cabinet out of the loading bay",
        12.5,
        ((11.6, Role.SCHEDULED), (5.4, Role.ON_HOLD)),
        description="Dust gets into the switches. The new room is the old cloakroom on the first floor.",
        site="Unit 7, Armley Road, Leeds",
        holds="fibre",
        is_booked=True,
        said=(
            Said(5.3, CUSTOMER, "The electrician has to put this off to December. May we come back to you?"),
            Said(4.8, OFFICE, "Of course. We have put the job on hold; write here when the sockets are in."),
        ),
    ),
    Job(
        "Castlegate Letting Agents",
        "Voicemail of the Saturday team to e-mail",
        0.4,
        description="Messages left on extension 30 should be mailed to all three of us.",
        site="9 Castlegate, Knaresborough",
        holds="telephony",
        is_booked=True,
        said=(Said(0.3, CUSTOMER, "One more thing: is it possible to have them as text as well?"),),
    ),
    Job(
        "Pennine Contact Centres",
        "Yearly check of the queue announcements",
        15.6,
        ((14.5, Role.SCHEDULED),),
        window=(8, 10, 3),
        site="Pennine House, Huddersfield",
        holds="freephone",
        assignee=TOM,
    ),
    Job(
        "Roundhay Primary Academy",
        "VPN for two new members of staff",
        2.6,
        ((1.7, Role.SCHEDULED),),
        window=(1, 14, 1),
        site="Elmete Avenue, Leeds",
        holds="vpn",
        is_booked=True,
        assignee=MIRIAM,
    ),
    Job(
        "Bäckerei Huber",
        "Telefon für die neue Filiale einrichten",
        8.7,
        ((7.6, Role.SCHEDULED),),
        window=(2, 13, 3),
        description="Zwei Schnurlostelefone, eines im Laden und eines in der Backstube. Die Nummer der Hauptfiliale soll mitklingeln.",
        site="Marktplatz 4, Holzkirchen",
        holds="telephony-de",
        is_booked=True,
        assignee=TOM,
        said=(
            Said(
                7.5,
                OFFICE,
                "Vielen Dank. Die Geräte bringen wir mit; bitte halten Sie eine Steckdose in der Backstube frei.",
            ),
            Said(0.2, CUSTOMER, "Die Steckdose ist da. Kommen Sie durch den Hof, vorne wird noch gestrichen."),
        ),
    ),
    Job(
        "Ammersee Segelschule",
        "Anrufe im Winter auf das Handy umleiten",
        0.7,
        description="Von Dezember bis März ist das Büro nicht besetzt.",
        site="Seestraße 12, Herrsching",
        holds="telephony-de",
        is_booked=True,
    ),
    Job(
        "Oberland Kliniken",
        "Notfallleitung der Ambulanz prüfen",
        10.6,
        ((9.5, Role.SCHEDULED), (0.1, Role.IN_PROGRESS)),
        window=(0, 9, 4),
        site="Klinikweg 1, Bad Tölz",
        holds="failover",
        assignee=TOM,
    ),
    Job(
        "Hofer Maschinenbau",
        "Server in das neue Rechenzentrum umziehen",
        25.5,
        ((21.6, Role.SCHEDULED),),
        window=(13, 18, 6),
        description="Vier virtuelle Server, außerhalb der Arbeitszeit. Die Sicherung läuft am Abend davor.",
        site="Industriestraße 20, Raubling",
        holds="servers",
        assignee=MIRIAM,
    ),
)
"""Jobs that are open when the demo starts."""

QUOTES = (
    Quote(
        "Harewood Travel",
        "Headsets for the booking team",
        4.8,
        (
            Line("Wireless headset with charging stand", 6, 14_900),
            Line("Set-up and training, one hour", 1, 8_500),
            Line("Collection of the old headsets", 1, -2_000),
        ),
        sent=3.6,
        description="Six wireless headsets that work with the phones you have, delivered and set up at your desks.",
        site="14 Station Parade, Harrogate",
        is_asked=True,
        assignee=TOM,
        said=(
            Said(
                3.5,
                OFFICE,
                "Here is the quote you asked for. We have one of these headsets here if you want to try it.",
            ),
        ),
    ),
    Quote(
        "Alder & Vale Solicitors",
        "Call recording for ten extensions",
        7.6,
        (
            Line("Call recording, per extension and month", 10, 450),
            Line("Storage for twelve months, per extension and month", 10, 120),
            Line("Set-up and legal notice before calls", 1, 12_000),
        ),
        sent=6.5,
        description="Recording of chosen extensions with a notice to callers, and an archive you can search.",
        assignee=TOM,
        said=(Said(0.5, CUSTOMER, "Can the archive be kept in the United Kingdom? Our insurer asks."),),
    ),
    Quote(
        "Ashworth Dental Group",
        "Waiting room screens, four surgeries",
        2.7,
        (Line("43-inch screen with player, mounted", 4, 58_900), Line("Network socket behind the screen", 4, 9_500)),
        description="Screens that show waiting times and our own pictures.",
        is_asked=True,
        assignee=MIRIAM,
    ),
    Quote(
        "Thornton Motor Factors",
        "Cordless phones for the warehouse",
        0.3,
        description="Five or six handsets that survive a fall, and reach to the yard.",
        is_asked=True,
    ),
    Quote(
        "Saltaire Architects",
        "Larger virtual server for drawings",
        11.6,
        (Line("8 cores, 32 GB, 2 TB, per month", 1, 21_500), Line("Move of data and licences", 1, 18_000)),
        sent=9.5,
        answer=(2.6, ""),
        assignee=TOM,
    ),
    Quote(
        "Otley Print Works",
        "Replacement of the door phone",
        16.6,
        (Line("Door phone with camera", 1, 64_000), Line("Installation", 1, 22_000)),
        sent=14.6,
        answer=(6.5, "The landlord is replacing the whole door system next year, so we would rather wait."),
    ),
    Quote(
        "Bäckerei Huber",
        "WLAN für Gäste in drei Filialen",
        5.7,
        (
            Line("Zugangspunkt mit Montage", 3, 28_900),
            Line("Betrieb und Jugendschutzfilter, je Filiale und Monat", 3, 1_900),
        ),
        sent=4.6,
        description="Ein eigenes Netz für Gäste, getrennt von Kasse und Büro.",
        site="Marktplatz 4, Holzkirchen",
        is_asked=True,
        assignee=TOM,
        said=(Said(1.3, CUSTOMER, "Geht das auch in der vierten Filiale, die im Februar öffnet?"),),
    ),
    Quote(
        "Ammersee Segelschule",
        "Wetterstation mit Anzeige am Steg",
        30.6,
        (Line("Windmesser und Anzeige, wetterfest", 1, 145_000), Line("Montage am Steg", 1, 38_000)),
        sent=28.5,
        answer=(20.6, ""),
    ),
    Quote(
        "Chiemgau Holzbau",
        "Glasfaser für die zweite Halle",
        3.7,
        (Line("Glasfaserstrecke 180 m mit Anschluss", 1, 312_000), Line("Schrank mit Switch", 1, 89_000)),
        assignee=MIRIAM,
    ),
)
"""Quotes of these days: asked for, being written, sent, accepted and declined."""

PAST_JOBS = {
    "north": {
        "telephony": (
            "New desk phone at reception",
            "Headsets do not ring",
            "Opening hours announcement for the holidays",
        ),
        "trunks": ("Yearly check of the trunk failover", "New number range"),
        "fibre": ("Router replaced", "Line measured after slow evenings"),
        "freephone": ("New announcement for the 0800 number",),
        "servers": ("Disk enlarged",),
        "backup": ("Restore of a folder, as a test",),
    },
    "south": {
        "telephony-de": ("Neues Telefon am Empfang", "Ansage für die Feiertage"),
        "fibre-de": ("Router getauscht", "Leitung gemessen"),
        "m365": ("Postfächer für neue Mitarbeiter", "Freigaben aufgeräumt"),
        "servers": ("Festplatte vergrößert",),
    },
}
"""What jobs of the past year were, by the service they were about."""

PAST_QUOTES = {
    "north": (
        ("Two more extensions", (Line("Extension, per month", 2, 890), Line("Desk phone", 2, 11_900))),
        ("Faster fibre line", (Line("Fibre 1 Gbit/s, per month", 1, 12_900), Line("Change of line", 1, 9_900))),
    ),
    "south": (
        ("Zwei weitere Nebenstellen", (Line("Nebenstelle, je Monat", 2, 990), Line("Tischtelefon", 2, 12_900))),
        ("Schnellere Leitung", (Line("Glasfaser 1 Gbit/s, je Monat", 1, 14_900), Line("Umstellung", 1, 9_900))),
    ),
}
"""What quotes of the past year offered."""

STREETS = {
    "north": ("Station Road", "Market Place", "Mill Lane", "Albion Street", "Church Street"),
    "south": ("Bahnhofstraße", "Hauptstraße", "Am Marktplatz", "Seestraße", "Industriestraße"),
}
