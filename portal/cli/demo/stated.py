"""What the staff of the demo business stated of services: over the past months, and at this moment. It mails nobody."""

from typing import NamedTuple

from portal.services.rules import ServiceStatus

OK, BLUE, SOME, DOWN = ServiceStatus


class Said(NamedTuple):
    """One statement: minutes after the one before, the status, the notes."""

    after: int
    status: ServiceStatus
    notes: str


class Spell(NamedTuple):
    """A problem of a service for some companies (none named: all who hold it), on each of these days ago."""

    service: str
    companies: tuple[str, ...]
    days: tuple[int, ...]
    ticket: str
    said: tuple[Said, ...]


class Work(NamedTuple):
    """Scheduled service: announced and starting so many minutes from now (before it where negative), how long.

    What is more than a day away starts at one at night.
    """

    service: str
    companies: tuple[str, ...]
    announced: int
    starts: int
    minutes: int
    zone: str
    ticket: str
    notes: str
    done: str


PAST = (
    Spell(
        "telephony",
        (),
        (23, 117),
        "",
        (
            Said(
                0,
                SOME,
                "Some outgoing calls end after about thirty seconds. Incoming calls are fine. We know the cause and "
                "are correcting it; the next update comes within half an hour.",
            ),
            Said(
                52,
                OK,
                "Calls hold again. A timer was set wrongly when a gateway was replaced last night; it is corrected, and "
                "every gateway was checked for it. We are sorry for the interrupted calls.",
            ),
        ),
    ),
    Spell(
        "fibre",
        ("Kirkstall Logistics", "Malham Cheese Company"),
        (41,),
        "NV-20871",
        (
            Said(
                0,
                DOWN,
                "Your fibre line is down since a cabinet on Kirkstall Road lost its power. The grid operator is on site. "
                "Where you have a mobile backup line it has taken over.",
            ),
            Said(
                95,
                SOME,
                "Power is back. The line comes up and drops again while the cabinet starts; please bear with us.",
            ),
            Said(34, OK, "Your line has been stable for half an hour. Thank you for your patience."),
        ),
    ),
    Spell(
        "m365",
        (),
        (16, 88),
        "",
        (
            Said(
                0,
                SOME,
                "E-Mails von außen kommen bis zu vierzig Minuten später an. Es geht keine verloren. Microsoft kennt "
                "die Ursache; wir melden uns spätestens in einer Stunde wieder.",
            ),
            Said(
                97,
                OK,
                "E-Mails kommen wieder sofort an, und alles Wartende ist zugestellt. Vielen Dank für Ihre Geduld.",
            ),
        ),
    ),
    Spell(
        "backup",
        ("Copperfield Accountancy", "Yarrow Wealth Management"),
        (33, 74),
        "NV-20655",
        (
            Said(
                0,
                SOME,
                "Last night’s backup of your systems did not finish. Your earlier copies are complete and can be "
                "restored. We are running it again now, which may slow your line a little.",
            ),
            Said(
                380,
                OK,
                "The backup was made up for this morning, and the copy was checked. There is nothing you need to do.",
            ),
        ),
    ),
    Spell(
        "servers",
        ("Hofer Maschinenbau",),
        (58,),
        "SW-11402",
        (
            Said(
                0,
                DOWN,
                "Ihr Server für die Fertigung antwortet nicht. Wir starten ihn auf einem anderen Rechner und melden uns "
                "in zwanzig Minuten.",
            ),
            Said(
                43,
                OK,
                "Der Server läuft wieder, Daten sind keine verloren. Ursache war ein defekter Speicherbaustein, der "
                "noch heute getauscht wird. Wir bitten um Entschuldigung für den Stillstand.",
            ),
        ),
    ),
    Spell(
        "vpn",
        ("Eskdale Housing Association", "Roundhay Primary Academy"),
        (9, 140),
        "",
        (
            Said(
                0, SOME, "Signing in from home takes several tries. Who is connected stays so. We are looking into it."
            ),
            Said(
                61,
                OK,
                "Signing in works at the first try again. A certificate had been renewed on one of two gateways only.",
            ),
        ),
    ),
    Spell(
        "telephony-de",
        (),
        (29, 101),
        "",
        (
            Said(0, DOWN, "Anrufe sind zurzeit nicht möglich. Wir arbeiten daran und melden uns in fünfzehn Minuten."),
            Said(
                31,
                SOME,
                "Die meisten Anschlüsse sind wieder erreichbar. Geräte, die noch offline sind, melden sich in den "
                "nächsten zehn Minuten von selbst an.",
            ),
            Said(28, OK, "Alle Anschlüsse sind erreichbar. Ein Fehler in der Anlage ist behoben; es tut uns leid."),
        ),
    ),
    Spell(
        "trunks",
        ("Pennine Contact Centres",),
        (47, 130),
        "NV-20790",
        (
            Said(
                0,
                DOWN,
                "Your trunk is not registered, so no call gets in or out. Calls to your main number go to the backup.",
            ),
            Said(
                48,
                OK,
                "Your trunk is registered and calls flow both ways. A password had been changed on one side only.",
            ),
        ),
    ),
    Spell(
        "freephone",
        (),
        (65, 160),
        "",
        (
            Said(
                0, SOME, "Callers from one mobile network hear “number not available”. All others reach you as usual."
            ),
            Said(88, OK, "Your numbers can be reached from all networks. Thank you for telling us so quickly."),
        ),
    ),
    Spell(
        "failover",
        ("Isartal Apotheken", "Oberland Kliniken"),
        (52,),
        "SW-11377",
        (
            Said(0, SOME, "Ihre Mobilfunk-Reserve hat keine Datenverbindung. Ihr Hauptanschluss ist nicht betroffen."),
            Said(205, OK, "Die Reserve ist wieder bereit, ein Probelauf war erfolgreich."),
        ),
    ),
)
"""Spells that are over, in the words customers were told."""

DAY = 24 * 60

WORKS = (
    Work(
        "telephony",
        (),
        -40 * DAY,
        -36 * DAY,
        120,
        "Europe/London",
        "",
        "We are renewing the software of the exchange at night. Calls in progress end once, for less than a minute; there "
        "is nothing you need to do.",
        "The exchange runs its new software, and every extension is back.",
    ),
    Work(
        "fibre-de",
        (),
        -20 * DAY,
        -15 * DAY,
        180,
        "Europe/Berlin",
        "SW-11460",
        "In dieser Nacht wird ein Verteiler getauscht. Ihr Internetzugang ist dabei bis zu zwanzig Minuten unterbrochen.",
        "Der Verteiler ist getauscht, alle Anschlüsse sind wieder da.",
    ),
    Work(
        "servers",
        ("Hofer Maschinenbau", "Lechfeld Spedition", "Oberland Kliniken"),
        -4 * DAY,
        -40,
        150,
        "Europe/Berlin",
        "SW-11533",
        "Wir ziehen Ihre Server auf neue Rechner um. Jeder steht dabei etwa fünf Minuten still, einer nach dem anderen; "
        "vorher wird gesichert. Sie brauchen nichts zu tun.",
        "",
    ),
    Work(
        "fibre",
        (),
        -DAY,
        3 * DAY,
        180,
        "Europe/London",
        "NV-21014",
        "We are moving lines in the Leeds exchange to new equipment. Expect one interruption of up to **fifteen minutes** "
        "at night. Where you have a mobile backup line it takes over; there is nothing you need to do.",
        "",
    ),
)
"""Scheduled service: past, under way, and ahead."""

OPEN = (
    Spell(
        "m365",
        (),
        (0,),
        "SW-11541",
        (
            Said(
                -52,
                SOME,
                "In Teams kommen Anrufe nicht bei allen an; Chats und E-Mails sind nicht betroffen. Microsoft arbeitet "
                "daran. **Telefonieren Sie solange über Ihren Anschluss.** Wir melden uns in einer Stunde wieder.",
            ),
        ),
    ),
    Spell(
        "servers",
        ("Saltaire Architects",),
        (0,),
        "NV-21022",
        (
            Said(
                -128,
                DOWN,
                "Your file server does not answer. Its disks are being checked, which takes as long as there is data on "
                "them. Last night’s backup is complete, and we start from it if the check finds too much.",
            ),
        ),
    ),
    Spell(
        "backup",
        ("Nidd Valley Insurance Brokers",),
        (0,),
        "NV-20998",
        (
            Said(
                -8 * 60 - 12,
                SOME,
                "Two of your five systems were not backed up last night. Earlier copies are complete. We are waiting for "
                "the supplier of the vault and look at it again before tonight’s run.",
            ),
        ),
    ),
)
"""What stands when the demo starts; the last one has stood for so long that staff are asked about it."""

ESTIMATES = {"m365": 80, "servers": 90}
"""Minutes from now in which a problem that stands is estimated to be over."""

STARTERS = (
    (
        SOME,
        "Supplier is working on it",
        "We have reported this to our supplier, who is working on it. [What is affected] is affected; [what still works] "
        "works as usual.\n\nThe next update comes by [time].",
    ),
    (
        OK,
        "Over, cause at the supplier",
        "[The service] works normally again. The cause was with our supplier, and has been removed there.\n\nThank you "
        "for your patience.",
    ),
)
"""Starter notes of the office's own."""
