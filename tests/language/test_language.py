"""Nothing a customer reads was forgotten: the catalogues are complete, and every page is written through them.

The pseudo-locale puts every translated text into ⟦brackets⟧; whatever stands on a page outside of brackets is
either data or was never marked for translation.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from bs4 import BeautifulSoup, Comment, Doctype
from flask.testing import FlaskClient

from portal import clock, events, filters, language
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import babel, db
from portal.incidents.actions import compose
from portal.incidents.letters import Work, content_of, note_of
from portal.incidents.mails import incidents as mails
from portal.incidents.mails import maintenance as maintenance_mails
from portal.incidents.mails import reaching
from portal.incidents.mails.incidents import recipients
from portal.incidents.queries import incident_for_staff
from portal.incidents.rules import MaintenanceState, State
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.notifications import kinds
from portal.notifications.actions import choose_for_person
from portal.notifications.kinds import language_of
from portal.notifications.links import unsubscribe_path
from portal.services.queries.hearing import TOPIC as SERVICES
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, REPOSITORY, Cast, SignIn, token_in
from tests.customer.outages import Outage, update
from tests.incidents.conftest import LONG_AGO, World
from tests.services.saying import say

FOLDER = REPOSITORY / "portal" / "translations"
CATALOGUES = sorted(FOLDER.glob("*/LC_MESSAGES/messages.po"))

MessageId = str | tuple[str, ...]


@lru_cache(maxsize=1)
def source_messages() -> frozenset[MessageId]:
    """Every text that is marked for translation anywhere in the product."""
    with (FOLDER / "babel.cfg").open(encoding="utf-8") as file:
        method_map, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    keywords: dict[str, tuple[int, ...] | None] = {
        "_": None,
        "gettext": None,
        "lazy_gettext": None,
        "ngettext": (1, 2),
        "lazy_ngettext": (1, 2),
    }
    found = extract_from_dir(REPOSITORY / "portal", method_map, options, keywords)
    return frozenset(message for _file, _line, message, _comments, _context in found)


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def texts(value: object) -> tuple[str, ...]:
    """The forms of a message or of its translation: one, or one each for singular and plural."""
    return tuple(value) if isinstance(value, list | tuple) else (str(value or ""),)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parent.parent.name)
class TestCatalogue:
    def test_it_holds_exactly_what_the_product_says(self, path: Path) -> None:
        known = {message.id for message in catalogue(path) if message.id}
        assert source_messages() - known == set()
        assert known - source_messages() == set()

    def test_nothing_in_it_is_empty_doubtful_or_left_over(self, path: Path) -> None:
        found = catalogue(path)
        assert [message.id for message in found if message.id and not all(texts(message.string))] == []
        assert [message.id for message in found if message.id and message.fuzzy] == []
        assert not found.obsolete

    def test_every_translation_takes_the_same_variables(self, path: Path) -> None:
        def variables(text: str) -> set[str]:
            return set(re.findall(r"%\(\w+\)[sd]|%%", text))

        for message in catalogue(path):
            if message.id:
                wanted = variables(texts(message.id)[-1])
                assert all(variables(text) == wanted for text in texts(message.string)), message.id


def test_there_is_a_catalogue_for_every_language_but_the_source() -> None:
    assert {path.parent.parent.name for path in CATALOGUES} == set(language.LANGUAGES) - {language.DEFAULT}


def test_german_is_read_from_its_source_file(cast: Cast, sign_in: SignIn) -> None:
    cast.alice.language = "de"
    events.commit()
    page = sign_in(cast.alice).get("/").text
    assert '<html lang="de"' in page
    assert "Alles, was Sie nutzen, läuft normal" in page


class TestWhoseLanguage:
    def test_the_persons_own_before_the_domains(
        self, cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
    ) -> None:
        cast.domain_a.language = "de"
        events.commit()
        assert "Anmelden" in visitor("a.portal.test").get("/sign-in").text
        assert '<html lang="en"' in sign_in(cast.alice).get("/").text

    def test_an_unknown_one_is_english(self, cast: Cast, visitor: Callable[[str], FlaskClient]) -> None:
        cast.domain_a.language = "tlh"
        events.commit()
        assert '<html lang="en"' in visitor("a.portal.test").get("/sign-in").text

    def test_a_time_zone_that_no_longer_exists_is_utc(self, cast: Cast, sign_in: SignIn) -> None:
        cast.alice.time_zone = "Mars/Olympus"
        events.commit()
        assert "UTC" in sign_in(cast.alice).get("/banner").text


# The pseudo-locale


def bracketed() -> Translations:
    """A catalogue in which every text is itself in brackets."""
    pseudo = Catalog(locale="de")
    for message in source_messages():
        pseudo[message] = Message(message, tuple(f"⟦{text}⟧" for text in texts(message)))
        if isinstance(message, str):
            pseudo[message].string = f"⟦{message}⟧"
    compiled = BytesIO()
    write_mo(compiled, pseudo)
    compiled.seek(0)
    return Translations(compiled)


@pytest.fixture
def pseudo(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everybody reads German, and German is the pseudo-locale. What was kept of texts is forgotten before and after.

    Mails are of the product's own kinds: those other tests have registered are called what nobody translates.
    """
    forget()
    own = {name: kind for name, kind in kinds._kinds.items() if kind.recipients.__module__.startswith("portal.")}
    monkeypatch.setattr(kinds, "_kinds", own)
    for reader in (cast.alice, cast.charlie, cast.domain_a, cast.domain_b):
        reader.language = "de"
    events.commit()
    monkeypatch.setitem(babel.domain_instance.cache, "de", bracketed())
    yield
    forget()


def forget() -> None:
    """What a process keeps of translated texts."""
    filters.forget_pieces()
    mails._sentences.cache_clear()
    reaching.written.cache_clear()
    maintenance_mails._sentences.cache_clear()


DATA = [
    "Northline",
    "Southline",
    "Alder Dental",
    "Birch Logistics",
    "Hosted telephony",
    "Internet access",
    "ACC-1",
    "LINE-9",
    "Trunk",
    "Fibre",
    "Exchange",
    "Spare",
    "Calls fail",
    "We are looking into it.",
    "A card has failed.",
    "Over.",
    "Alice",
    "alice@people.test",
    "a.portal.test",
    "English",
    "Deutsch",
    "Europe/London",
    "UTC",
    "zzz",
]
"""What the world of these tests is called; longest first when it is taken out."""

INNERMOST = re.compile(r"⟦[^⟦⟧]*⟧")
DATE = re.compile(
    r"\d{1,2}\. \w+\.?( \d{4})?(, \d\d:\d\d( – \d\d:\d\d)? \w+)?"
    r"|\w+tag, \d{1,2}\. \w+ \d{4}|Mittwoch, \d{1,2}\. \w+ \d{4}"
    r"|(Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember) \d{4}"
)
ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "aria-description")


def untranslated(html: str) -> list[str]:
    """The texts of a page, and of what screen readers are told, that are neither in brackets nor data."""
    soup = BeautifulSoup(html, "html.parser")
    for element in soup(["script", "style"]):
        element.decompose()
    for select in soup.find_all("select", attrs={"name": "time_zone"}):
        select.clear()
    shown = [str(text) for text in soup.find_all(string=True) if not isinstance(text, Comment | Doctype)]
    shown += [str(tag[name]) for tag in soup.find_all(True) for name in ATTRIBUTES if tag.has_attr(name)]
    shown += [str(tag["value"]) for tag in soup.find_all("input", attrs={"type": ["submit", "button"]})]
    return [text.strip() for text in shown if has_plain_words(text)]


def has_plain_words(text: str) -> bool:
    while INNERMOST.search(text):
        text = INNERMOST.sub("", text)
    text = DATE.sub("", text)
    for known in sorted(DATA, key=len, reverse=True):
        text = text.replace(known, "")
    return bool(re.search(r"[^\W\d_]{2,}", text))


def test_the_check_itself_finds_what_was_forgotten() -> None:
    assert untranslated("<p>⟦Fine⟧</p><p>Forgotten</p><a title='Also'>⟦x ⟦y⟧ z⟧</a>") == ["Forgotten", "Also"]


CUSTOMER = [
    "/",
    "/banner",
    "/your-services",
    "/services",
    "/services?q=zzz",
    "/services/availability",
    "/account",
    "/status",
    "/status/history",
]
CUSTOMER += ["/account/password", "/account/email", "/confirm"]
PUBLIC = ["/status", "/status/history", "/sign-in", "/reset", "/reset?sent=1", "/reset/used"]


@pytest.mark.usefixtures("pseudo")
class TestEveryPage:
    def check(self, client: FlaskClient, *paths: str) -> None:
        for path in paths:
            answer = client.get(path)
            assert untranslated(answer.text) == [], f"{path} ({answer.status_code})"

    def test_when_all_is_well(
        self,
        cast: Cast,
        world: World,
        sign_in: SignIn,
        visitor: Callable[[str], FlaskClient],
    ) -> None:
        self.check(sign_in(cast.alice), *CUSTOMER, "/nothing")
        self.check(visitor("a.portal.test"), *PUBLIC, "/nothing")

    def test_when_there_is_trouble_past_trouble_and_work(
        self,
        cast: Cast,
        world: World,
        sign_in: SignIn,
        visitor: Callable[[str], FlaskClient],
        outage_of: Outage,
    ) -> None:
        incident = outage_of(world.trunk)
        update(incident, State.IDENTIFIED, "A card has failed.")
        over = outage_of(world.fibre, title="Calls fail ")
        update(over, State.FIXED, "Over.")
        outage_of(world.fibre, title="Calls fail  ")
        pages = [f"/incidents/{incident.public_id}", f"/incidents/{over.public_id}"]
        self.check(sign_in(cast.alice), *CUSTOMER, *pages)
        self.check(visitor("a.portal.test"), *PUBLIC, *pages)

    def test_when_staff_say_how_services_are(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        now, hour = clock.utcnow(), timedelta(hours=1)
        more = [
            Holding(company_id=cast.a.id, service_id=world.telephony.id, reference=str(n), valid_from=LONG_AGO)
            for n in range(3)
        ]
        db.session.add_all(more)
        db.session.flush()
        said: dict[str, Any] = {"notes": "A card has failed.", "ticket": "ACC-1"}
        say(world.holding_a, ServiceStatus.DOWN, minutes_ago=9, began_at=now - hour, ends_at=now + hour, **said)
        say(world.holding_a, ServiceStatus.SCHEDULED, starts_at=now + hour, ends_at=now + 2 * hour, **said)
        say(more[0], ServiceStatus.SCHEDULED, starts_at=now - hour, ends_at=now + hour, **said)
        say(more[1], ServiceStatus.SCHEDULED, starts_at=now + hour, ends_at=now + 2 * hour, **said)
        client = sign_in(cast.alice)
        self.check(client, *CUSTOMER, "/preferences", *(f"/services/{each.id}" for each in (world.holding_a, *more)))
        domains.set_areas(cast.domain_a, [Area.SERVICES], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        choose_for_person(cast.alice, {SERVICES: False}, by=SYSTEM, now=NOW)
        events.commit()
        self.check(client, "/", "/services", f"/services/{world.holding_a.id}", f"/services/{more[2].id}")

    def test_of_an_empty_house(self, cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]) -> None:
        self.check(sign_in(cast.alice), *CUSTOMER)
        self.check(visitor("a.portal.test"), *PUBLIC)
        domains.set_areas(cast.domain_a, [], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        self.check(sign_in(cast.alice), "/", "/account", "/status")

    def test_of_a_long_list(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        db.session.add_all(
            Holding(company_id=cast.a.id, service_id=world.telephony.id, reference=str(n), valid_from=LONG_AGO)
            for n in range(60)
        )
        events.commit()
        self.check(sign_in(cast.alice), "/", "/services", "/services?page=2")

    def test_that_refuses(self, cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]) -> None:
        client = visitor("a.portal.test")
        for fields in ({"email": "zzz", "password": "zzz"}, {"email": "", "password": ""}):
            answer = client.post("/sign-in", data={"csrf_token": token_in(client, "/sign-in"), **fields})
            assert (answer.status_code, untranslated(answer.text)) == (422, [])
        answer = client.post("/sign-in", data={"email": "zzz", "password": "zzz"})
        assert (answer.status_code, untranslated(answer.text)) == (400, [])
        known = sign_in(cast.alice)
        version = str(cast.alice.version)
        data = {"csrf_token": token_in(known, "/account"), "version": version, "name": " ", "language": "de"}
        answer = known.post("/account", data={**data, "time_zone": "Europe/London"})
        assert (answer.status_code, untranslated(answer.text)) == (422, [])
        answer = known.post("/account", data={**data, "version": "99", "name": "Alice", "time_zone": "Europe/London"})
        assert (answer.status_code, untranslated(answer.text)) == (409, [])
        assert untranslated(known.get("/sign-out").text) == []

    def test_that_mails_lead_to(self, cast: Cast, visitor: Callable[[str], FlaskClient]) -> None:
        path = unsubscribe_path(cast.alice.email, "incidents", cast.alice.id)
        self.check(visitor("a.portal.test"), path)
        answer = visitor("a.portal.test").post(path, data={"List-Unsubscribe": "One-Click"})
        assert untranslated(answer.text) == []


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("state", [State.IDENTIFIED, State.FIXED])
def test_every_word_of_a_mail_is_translated(
    cast: Cast,
    world: World,
    outage_of: Outage,
    state: State,
) -> None:
    incident = outage_of(world.trunk)
    update(incident, state, "Over.")
    told = incident_for_staff(incident.id)
    assert told is not None
    content = compose(told, told.updates[0], [world.trunk.id])["de"]
    for part, text in content.items():
        plain = re.sub(r"\{\{\w+\}\}(/[\w/]+)?", "", text)
        words = untranslated(plain) if part == "html" else [text for text in [plain] if has_plain_words(text)]
        assert words == [], part
    selector = {
        "incident_id": incident.id,
        "component_ids": [world.trunk.id],
        "at": NOW.isoformat(),
        "company_ids": [cast.a.id],
        "everyone": True,
        "moments": {"since": NOW.isoformat()},
    }
    found, _after = recipients(selector, None, 10, NOW)
    spoken = [value for each in found if each.language == "de" for value in each.values.values()]
    assert spoken
    assert [value for value in spoken if "http" not in value and has_plain_words(value)] == []


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("notice", list(Notice))
def test_every_word_of_a_mail_about_maintenance_is_translated(cast: Cast, world: World, notice: Notice) -> None:
    begin, end = NOW + timedelta(days=2), NOW + timedelta(days=2, hours=3)
    impact = list(WorkImpact)[list(Notice).index(notice) % len(WorkImpact)]
    work = Work(
        public_id="battery",
        title="Calls fail",
        state=MaintenanceState.SCHEDULED,
        notice=notice,
        impact=impact,
        starts_at=begin,
        ends_at=end,
        components=["Trunk"],
        body="Over.",
        told_at=NOW,
        before=(begin - timedelta(days=1), end) if notice is Notice.MOVED else None,
        is_late=True,
    )
    for key, wording in content_of(work).items():
        for part, text in wording.items() if language_of(key) == "de" else ():
            if part == "calendar":
                said = re.findall(r"(?:SUMMARY|DESCRIPTION);LANGUAGE=de:(.*)", text.replace("\r\n ", ""))
                assert len(said) == 2, key
                assert [each for each in said if has_plain_words(each.replace("\\n", " "))] == [], key
                continue
            plain = re.sub(r"\{\{\w+\}\}(/[\w/]+)?", "", text)
            words = untranslated(plain) if part == "html" else [text for text in [plain] if has_plain_words(text)]
            assert words == [], (key, part)
    selector = {
        "component_ids": [world.trunk.id],
        "at": NOW.isoformat(),
        "company_ids": [cast.a.id],
        "everyone": True,
        "moments": {name: moment.isoformat() for name, moment in work.moments.items()},
        "note": asdict(note_of("battery", work.state, impact)),
    }
    found, _after = maintenance_mails.recipients(selector, None, 10, NOW)
    spoken = [each.values["affected"] for each in found if each.language == "de"]
    assert spoken
    assert [value for value in spoken if has_plain_words(value)] == []
