"""A year of incidents as such a carrier has them: what broke, how long, and what was written meanwhile."""

from typing import NamedTuple

from portal.incidents.rules import Severity, State

I, D, W, F = State.INVESTIGATING, State.IDENTIFIED, State.WATCHING, State.FIXED  # noqa: E741 (columns below stay readable)
SLOW, PART, DOWN, OK = Severity.PERFORMANCE_ISSUE, Severity.PARTIAL_RTH, Severity.MAJOR_OUTAGE, Severity.NONE


class Step(NamedTuple):
    """One update: minutes after the one before, state, severities it names by component key, text."""

    after: int
    state: State
    severities: dict[str, Severity]
    text: str


class Scenario(NamedTuple):
    title: str
    steps: tuple[Step, ...]


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "SIP registrations failing on the London edge",
        (
            Step(
                0,
                I,
                {"sip-lon": DOWN},
                "Phones and trunks that register in London lose their registration and cannot make or take calls. We are looking into it now.",
            ),
            Step(
                14,
                D,
                {},
                "One of two session border controllers stopped answering after a software fault. We are moving registrations to the other one.",
            ),
            Step(
                22,
                W,
                {"sip-lon": SLOW},
                "Registrations are back for most customers. Devices that are still offline come back on their own within ten minutes; restarting them is quicker.",
            ),
            Step(
                41,
                F,
                {},
                "All registrations are back and have been stable for half an hour. The faulty unit stays out of service until its supplier has found the cause. We are sorry for the lost calls.",
            ),
        ),
    ),
    Scenario(
        "One-way audio on calls to mobile networks",
        (
            Step(
                0,
                I,
                {"uk-inter": PART},
                "On some calls to mobile numbers only one side can be heard. Calls to landlines are not affected.",
            ),
            Step(
                18,
                D,
                {},
                "A partner network sends audio to an address it should not use. We have asked them to correct it and are routing calls around them meanwhile.",
            ),
            Step(
                35,
                W,
                {"uk-inter": SLOW},
                "Calls now take another route. Connecting may take a second longer than usual.",
            ),
            Step(96, F, {}, "The partner has corrected the fault and normal routing is restored."),
        ),
    ),
    Scenario(
        "Slow internet in the Leeds area",
        (
            Step(0, I, {"fibre-n": SLOW}, "Customers in and around Leeds see slow downloads and high response times."),
            Step(
                31,
                D,
                {},
                "A link between two of our sites runs at half its capacity after a card failed. A technician is on the way with a spare.",
            ),
            Step(74, F, {}, "The card was replaced at 15:40 and speeds are back to normal."),
        ),
    ),
    Scenario(
        "Fibre cut near Holzkirchen",
        (
            Step(
                0,
                I,
                {"fibre-s": DOWN},
                "Lines in the Holzkirchen and Tegernsee area are down. Customers with a mobile backup line have switched over.",
            ),
            Step(25, D, {}, "An excavator cut a fibre duct beside the B318. The repair crew is on site."),
            Step(
                120,
                D,
                {"fibre-s": PART},
                "Forty of ninety-six fibres are spliced; the first customers are back online. We expect the last ones by early evening.",
            ),
            Step(
                150, W, {"fibre-s": SLOW}, "All fibres are spliced. We are measuring every line before we close this."
            ),
            Step(60, F, {}, "Every line measures as it did before. Thank you for your patience today."),
        ),
    ),
    Scenario(
        "Voicemail messages arrive late",
        (
            Step(
                0,
                D,
                {"pbx": SLOW},
                "Voicemail is recorded, but the mails with the recordings arrive up to an hour late. No message is lost.",
            ),
            Step(52, F, {}, "The queue has been worked off and new messages arrive within a minute again."),
        ),
    ),
    Scenario(
        "Sign-in to Microsoft 365 fails for some people",
        (
            Step(
                0,
                I,
                {"m365": PART},
                "Some people are asked to sign in to Outlook and Teams again and again. Microsoft reports a fault in Western Europe; we are following it.",
            ),
            Step(
                63,
                D,
                {},
                "Microsoft has found a faulty configuration change and is taking it back region by region. The web version works for most people in the meantime.",
            ),
            Step(
                88,
                W,
                {"m365": SLOW},
                "Sign-in works again for most people. Closing and opening Outlook once helps where it does not.",
            ),
            Step(45, F, {}, "Microsoft reports the fault as solved, and our own checks agree."),
        ),
    ),
    Scenario(
        "Calls to Germany drop after a few seconds",
        (
            Step(0, I, {"de-inter": PART}, "About one in five calls to German landlines ends after a few seconds."),
            Step(
                27,
                D,
                {"de-inter": PART, "intl": SLOW},
                "One of three routes is faulty. We have taken it out; the remaining two are busy, so a call may need a second try.",
            ),
            Step(
                49,
                F,
                {},
                "The faulty route is back after a restart on the partner's side. Calls connect and stay connected.",
            ),
        ),
    ),
    Scenario(
        "Virtual servers in Munich unreachable",
        (
            Step(
                0,
                I,
                {"hosting": DOWN},
                "A part of the virtual servers in Munich cannot be reached. Our data centre team is on it.",
            ),
            Step(
                11,
                D,
                {"hosting": PART},
                "Two of eight hosts lost their storage connection. Their servers are starting on other hosts.",
            ),
            Step(
                38,
                W,
                {"hosting": SLOW},
                "All servers are running again. If an application does not answer, its service may need a restart; call us and we do it for you.",
            ),
            Step(75, F, {}, "Storage is stable. We will move the remaining servers back tonight without interruption."),
        ),
    ),
    Scenario(
        "Nightly backups not finished",
        (
            Step(
                0,
                D,
                {"backup": SLOW},
                "Last night's backups of about a third of all systems did not finish in time. Restores work as usual.",
            ),
            Step(
                240,
                F,
                {},
                "The missing backups were made up for this morning. A full disk in the vault was the cause; its alarm now comes earlier.",
            ),
        ),
    ),
    Scenario(
        "Freephone numbers not reachable from some mobile networks",
        (
            Step(
                0,
                I,
                {"toll-free": PART},
                "Callers on one mobile network hear “number not available” when they dial our 0800 numbers.",
            ),
            Step(
                44,
                D,
                {},
                "The network's routing table lacks one of our number ranges since its maintenance last night. They are adding it again.",
            ),
            Step(70, F, {}, "Test calls from all four networks succeed."),
        ),
    ),
    Scenario(
        "High packet loss towards Frankfurt",
        (
            Step(
                0,
                I,
                {"core": SLOW, "sip-fra": SLOW},
                "Some connections through Frankfurt lose packets: choppy calls and slow pages are the result.",
            ),
            Step(
                16,
                D,
                {},
                "An exchange point is overloaded by an attack on another member. We have moved our traffic to a second exchange.",
            ),
            Step(33, F, {}, "Traffic has been clean for half an hour."),
        ),
    ),
    Scenario(
        "Remote access disconnects every few minutes",
        (
            Step(
                0,
                I,
                {"vpn": PART},
                "People working from home are disconnected every few minutes and have to sign in again.",
            ),
            Step(37, D, {}, "Last night's update shortened a timer it should not have touched. We are correcting it."),
            Step(12, F, {}, "Connections hold again. You may have to sign in once more."),
        ),
    ),
    Scenario(
        "Portal mails delayed",
        (
            Step(
                0,
                D,
                {"portal": SLOW},
                "Mails from this portal arrive up to twenty minutes late. The portal itself is always up to date.",
            ),
            Step(35, F, {}, "All waiting mails have been sent."),
        ),
    ),
    Scenario(
        "Number porting orders on hold",
        (
            Step(
                0,
                D,
                {"portability": PART},
                "The central porting database is closed for repairs by its operator. Orders due today move to tomorrow; no number is lost.",
            ),
            Step(300, F, {}, "The database is open again. Orders of today are being carried out first."),
        ),
    ),
    Scenario(
        "Fax transmissions break off",
        (
            Step(0, I, {"fax": PART}, "Faxes of more than three pages break off."),
            Step(58, D, {}, "A codec setting was lost when a gateway was replaced."),
            Step(9, F, {}, "Long faxes go through again."),
        ),
    ),
    Scenario(
        "Mobile backup lines without data in the North",
        (
            Step(
                0,
                I,
                {"mobile-bk": DOWN},
                "Backup lines on one mobile network have no data connection. Your main line is not affected; only its safety net is missing.",
            ),
            Step(
                80,
                W,
                {"mobile-bk": SLOW},
                "The network operator has restored data. We are watching the first hundred lines.",
            ),
            Step(40, F, {}, "All backup lines answer our checks."),
        ),
    ),
)

OPEN = Scenario(
    "Calls to the UK connect slowly",
    (
        Step(
            0,
            I,
            {"uk-inter": SLOW},
            "Calls to UK numbers take up to ten seconds to connect. Once connected they are fine. We are looking for the cause.",
        ),
        Step(
            13,
            D,
            {"uk-inter": PART},
            "One of our two UK partners answers slowly, and some calls are given up before they connect. **If a call fails, please dial again.** We are moving calls to the other partner.",
        ),
    ),
)
"""The incident that is open when the demo starts."""

PRIVATE = Scenario(
    "Supplier dispute: interconnect capacity",
    (
        Step(
            0,
            I,
            {"intl": SLOW},
            "The carrier for Eastern Europe has capped our capacity over an unpaid invoice they had sent to the wrong address. Finance is clarifying it.",
        ),
    ),
)
"""A private report: staff see it, nobody else ever does."""
