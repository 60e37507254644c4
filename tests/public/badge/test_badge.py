"""The badge: what it says, in which language, to whom, and that nothing private moves it."""

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient

from portal import events
from portal.audit.rules import SYSTEM
from portal.brand import contrast
from portal.catalogue import actions as catalogue
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, ComponentStatus, Severity, Visibility
from portal.public.badge.drawing import GROUND, TONES, drawing_of
from tests.api.v2.conftest import StatusPage, publish
from tests.conftest import NOW, Cast, counted_queries

BADGE = "/status/badge.svg"
A = "a.portal.test"
Visitor = Callable[[str], FlaskClient]

pytestmark = pytest.mark.usefixtures("at")


def words(client: FlaskClient, path: str = BADGE) -> tuple[str, str]:
    """What is read out of it, and the texts that are drawn."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    svg = ET.fromstring(answer.data)  # noqa: S314 (an answer of our own)
    drawn = [each.text or "" for each in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == ": ".join(drawn)
    return svg.attrib["aria-label"], svg.findall("{http://www.w3.org/2000/svg}path")[0].attrib["fill"]


def test_it_follows_the_page_at_the_next_look(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    assert words(visitor(A)) == ("Northline status: All systems operational", TONES["good"])
    first = visitor(A).get(BADGE)
    with counted_queries() as statements:
        again = visitor(A).get(f"{BADGE}?_=1", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, len(statements)) == (304, 1)
    assert first.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert first.headers["Cache-Control"].startswith("public, max-age=5")
    assert "Set-Cookie" not in first.headers
    assert first.headers["Vary"] == "Accept-Encoding"
    publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    assert words(visitor(A)) == ("Northline status: Some systems are down", TONES["bad"])


def test_one_component_and_the_languages(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    publish("No dial tone", {status_page.core.id: Severity.PARTIAL_RTH})
    core = f"{BADGE}?component={status_page.core.public_id}"
    assert words(visitor(A), core)[0] == "Voice core: Partial outage"
    assert words(visitor(A), f"{core}&lang=de")[0] == "Voice core: Teilausfall"
    assert words(visitor(A), f"{BADGE}?lang=de")[0].startswith("Status von Northline: ")
    assert words(visitor(A), f"{BADGE}?lang=xx")[0].startswith("Northline status: ")
    assert words(visitor(A), f"{BADGE}?component={status_page.fibre.public_id}")[0] == "Fibre: Operational"
    cast.domain_a.language = "de"
    events.commit()
    assert words(visitor(A))[0].startswith("Status von Northline: ")


def test_what_is_missing_archived_or_a_row_number_is_the_same_404(
    cast: Cast, status_page: StatusPage, visitor: Visitor
) -> None:
    archived = status_page.fibre
    catalogue.archive_component(archived, version=archived.version, open_incidents=[], by=SYSTEM, now=NOW)
    events.commit()
    for each in (archived.public_id, str(status_page.core.id), "nothing", "", "a" * 500):
        assert visitor(A).get(f"{BADGE}?component={each}").status_code == 404, each


def test_nothing_private_moves_it(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    paths = [BADGE, f"{BADGE}?component={status_page.core.public_id}"]
    before = [visitor(A).get(path).data for path in paths]
    hit = {status_page.core.id: Severity.MAJOR_OUTAGE}
    publish("Hush", hit, visibility=Visibility.PRIVATE)
    publish("For some", hit, audience=Audience.AFFECTED)
    assert [visitor(A).get(path).data for path in paths] == before


def test_names_are_escaped_cut_and_held_to_their_room(cast: Cast, visitor: Visitor) -> None:
    component = catalogue.add_component("<script>&" + "x" * 190, description=None, group_id=None, by=SYSTEM, now=NOW)
    events.commit()
    label, _ = words(visitor(A), f"{BADGE}?component={component.public_id}")
    assert label.startswith("<script>&xxx")
    assert label.endswith("…: Operational")
    drawn = drawing_of("i" * 20, "W" * 20, "good")
    assert drawn.words_width > 2 * drawn.label_width > 0


def test_white_words_can_be_read_on_every_ground() -> None:
    assert all(contrast("#ffffff", ground) >= 4.5 for ground in (GROUND, *TONES.values()))
    assert len(ComponentStatus) == len(TONES)


def test_what_is_set_by_hand_is_on_the_badge_the_page_and_in_v2_at_once(
    cast: Cast, status_page: StatusPage, visitor: Visitor
) -> None:
    assert words(visitor(A), f"{BADGE}?component={status_page.core.public_id}")[1] == TONES["good"]
    incidents.set_base_status(
        status_page.core, ComponentStatus.MAJOR_OUTAGE, note="SECRET", version=0, by=SYSTEM, now=NOW
    )
    events.commit()
    assert words(visitor(A), f"{BADGE}?component={status_page.core.public_id}")[1] == TONES["bad"]
    assert words(visitor(A)) == ("Northline status: Some systems are down", TONES["bad"])
    summary = visitor(A).get("/api/v2/summary.json")
    told = {each["id"]: each["status"] for each in summary.get_json()["components"]}
    assert told[status_page.core.public_id] == "major_outage"
    assert told[status_page.trunks.public_id] == "operational"
    assert summary.get_json()["status"]["indicator"] == "major"
    page = visitor(A).get("/status").get_data(as_text=True)
    assert "Some systems are down" in page
    assert "SECRET" not in page + summary.get_data(as_text=True)
