"""The screens of metrics: adding, changing, two at one form, files with bad lines, and archiving."""

from io import BytesIO

from portal import clock
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.usage.actions import Wanted, add_metric
from portal.usage.models import Metric
from portal.usage.queries import metric_by_id
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

LIST = "/admin/metrics"


def _typed(token: str, **more: str) -> dict[str, str]:
    return {
        "csrf_token": token,
        "name": "Post-dial delay",
        "key": "pdd",
        "unit": "ms",
        "decimals": "0",
        "interval": "60",
        "position": "0",
        "service": "0",
    } | more


def test_one_is_added_changed_and_archived(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "No metric yet" in client.get(LIST).text
    token = token_in(client, f"{LIST}/new")
    refused = client.post(f"{LIST}/new", data=_typed(token, key="Not A Key"))
    assert refused.status_code == 422
    assert "A key is made of" in refused.text
    both = client.post(f"{LIST}/new", data=_typed(token, company="Alder", portals=str(cast.domain_a.id)))
    assert "stands on no public page" in both.text
    made = client.post(f"{LIST}/new", data=_typed(token, portals=str(cast.domain_a.id)))
    assert made.status_code == 303
    address = made.headers["Location"]
    page = client.get(address).text
    assert "on the status page of Northline" in page
    assert "Nothing was measured." in page
    metric = db.session.query(Metric).one()
    edit = _typed(token, name="Delay", version=str(metric.version))
    assert client.post(f"{address}/edit", data=edit).status_code == 303
    stale = client.post(f"{address}/edit", data=edit | {"name": "Mine"})
    assert stale.status_code == 409
    assert 'value="Mine"' in stale.text
    db.session.expire_all()
    loaded = metric_by_id(metric.id)
    assert loaded is not None
    assert (loaded.name, loaded.portals) == ("Delay", [])
    values = {"csrf_token": token, "version": str(loaded.version)}
    assert client.post(f"{address}/archive", data=values).status_code == 303
    assert client.post(f"{address}/restore", data=values).status_code == 409
    assert "Delay" in client.get(f"{LIST}?show=archived").text
    assert "Delay" not in client.get(LIST).text


def test_one_of_a_company_says_what_it_delivers_and_who_sees_it(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    token = token_in(client, f"{LIST}/new")
    typed = _typed(token, company="Alder", measure="balance", debit_limit="-5,50", unit="EUR", decimals="2")
    made = client.post(f"{LIST}/new", data=typed)
    page = client.get(made.headers["Location"]).text
    assert "the balance" in page
    assert "Its debit limit is -5.50" in page
    assert "Its people see it among their figures" in page
    refused = client.post(f"{LIST}/new", data=typed | {"key": "other"})
    assert (refused.status_code, "delivers balance of this company" in refused.text) == (422, True)
    wrong = client.post(f"{LIST}/new", data=typed | {"key": "other", "debit_limit": "much"})
    assert (wrong.status_code, "Write the value as a number" in wrong.text) == (422, True)
    form = client.get(f"{made.headers['Location']}/edit").text
    assert 'value="-5.5"' in form
    metric = db.session.query(Metric).one()
    own = typed | {"measure": "custom", "debit_limit": "", "trunk": "London", "version": str(metric.version)}
    assert client.post(f"{made.headers['Location']}/edit", data=own).status_code == 303
    page = client.get(made.headers["Location"]).text
    assert "of trunk London" in page
    assert "For staff only." in page


def test_two_who_change_only_where_it_is_shown_notice_each_other(cast: Cast, sign_in: SignIn) -> None:
    metric = add_metric(Wanted("pdd", "Post-dial delay", "ms"), by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    token, address = token_in(client, f"{LIST}/new"), f"{LIST}/{metric.id}/edit"
    typed = _typed(token, version=str(metric.version), portals=str(cast.domain_a.id))
    assert client.post(address, data=typed).status_code == 303
    assert client.post(address, data=typed | {"portals": str(cast.domain_b.id)}).status_code == 409


def test_a_file_is_taken_and_its_bad_lines_are_named(cast: Cast, sign_in: SignIn) -> None:
    metric = add_metric(Wanted("pdd", "Post-dial delay", "ms"), by=SYSTEM, now=NOW)
    db.session.commit()
    client, address = sign_in(cast.ada), f"{LIST}/{metric.id}"
    token, now = token_in(client, f"{LIST}/new"), clock.utcnow()

    def send(content: bytes) -> tuple[int, str]:
        values = {"csrf_token": token, "version": "1", "file": (BytesIO(content), "samples.csv")}
        answer = client.post(f"{address}/samples", data=values)
        return answer.status_code, answer.text

    status, page = send(f"\ufefftime;value\r\n{now:%Y-%m-%dT%H:%M:%SZ};12,5\r\nyesterday;3\r\n".encode())
    assert status == 422
    assert "1 samples taken, 0 were there already. 1 lines were not taken." in page
    assert "Write the time like" in page
    assert "12" in client.get(address).text
    assert send(f"{now:%Y-%m-%dT%H:%M:%SZ},12.5\n".encode())[0] == 303
    for bad in (b"\xff\xfe\x00", b"", b'"never closed', b"time,value\n"):
        assert send(bad)[0] == 422


def test_the_list_asks_the_same_whatever_there_is(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    add_metric(Wanted("first", "Post-dial delay", domain_ids=frozenset({cast.domain_a.id})), by=SYSTEM, now=NOW)
    db.session.commit()
    client.get(LIST)
    with counted_queries() as before:
        client.get(LIST)
    for number in range(20):
        wanted = Wanted(f"m{number}", "Post-dial delay", domain_ids=frozenset({cast.domain_a.id}))
        add_metric(wanted, by=SYSTEM, now=NOW)
    db.session.commit()
    with counted_queries() as after:
        assert client.get(LIST).text.count("Post-dial delay</a>") == 21
    assert len(after) == len(before)


def test_who_may_not_edit_the_catalogue_sees_none(cast: Cast, sign_in: SignIn) -> None:
    assert sign_in(cast.olaf).get(LIST).status_code == 403
