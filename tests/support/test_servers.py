"""The servers that other tests rely on do what they are told."""

import smtplib

import pytest
from redis.exceptions import RedisError

from tests.support.postgres import PostgresServer, fresh_database
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import At, SmtpSink, Step

pytestmark = pytest.mark.processes

MAIL = "Message-ID: <1@people.test>\r\nSubject: s\r\n\r\n.a line with a dot\r\n"
SENDER, KNOWN = "from@people.test", "known@people.test"


def send(sink: SmtpSink, address: str) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as connection:
        connection.sendmail(SENDER, address, MAIL)


def test_postgres_makes_empty_databases_and_outlives_a_crash() -> None:
    with PostgresServer(durable=True) as server:
        fresh_database(server.url("own"))
        server.execute("CREATE TABLE kept (id int)", "own")
        server.kill()
        server.start()
        server.execute("SELECT * FROM kept", "own")
        fresh_database(server.url("own"))
        server.execute("CREATE TABLE kept (id int)", "own")


def test_redis_hangs_and_goes_on_and_forgets(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.set("key", 1)
        redis_server.hang()
        with pytest.raises(RedisError):
            client.get("key")
    redis_server.resume()
    redis_server.flush()
    with redis_server.client() as client:
        assert client.get("key") is None


def test_the_sink_keeps_what_arrived_as_it_was_written(smtp_sink: SmtpSink) -> None:
    send(smtp_sink, KNOWN)
    (message,) = smtp_sink.to(KNOWN)
    assert message.content == MAIL.encode()
    assert message.is_acknowledged
    assert message.message_id == "<1@people.test>"


def test_the_sink_refuses_one_address_and_takes_the_next(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("gone@people.test", "550 5.1.1 No such user")
    with smtplib.SMTP("127.0.0.1", smtp_sink.port) as connection:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            connection.sendmail(SENDER, "gone@people.test", MAIL)
        connection.sendmail(SENDER, KNOWN, MAIL)
    assert refused.value.recipients["gone@people.test"] == (550, b"5.1.1 No such user")
    assert smtp_sink.recipients() == {KNOWN: 1}


def test_a_script_ends_after_its_times(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse(KNOWN, "451 4.7.1 Greylisted", times=1)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(smtp_sink, KNOWN)
    send(smtp_sink, KNOWN)
    assert smtp_sink.recipients() == {KNOWN: 1}


@pytest.mark.parametrize(("at", "arrived"), [(At.BODY, 0), (At.DOT, 1)])
def test_the_sink_cuts_the_line_before_or_after_the_dot(smtp_sink: SmtpSink, at: At, arrived: int) -> None:
    smtp_sink.script(KNOWN, Step(at, drop=True))
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(smtp_sink, KNOWN)
    assert smtp_sink.deliveries().total() == arrived
    assert not any(message.is_acknowledged for message in smtp_sink.received)


def test_the_sink_may_never_greet(smtp_sink: SmtpSink) -> None:
    smtp_sink.script("*", Step(At.CONNECT, hang=True))
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        smtplib.SMTP("127.0.0.1", smtp_sink.port, timeout=0.3)


def test_the_sink_offers_pipelining_unless_told_otherwise() -> None:
    for is_pipelining in (True, False):
        with (
            SmtpSink(is_pipelining=is_pipelining) as sink,
            smtplib.SMTP("127.0.0.1", sink.port) as connection,
        ):
            connection.ehlo()
            assert connection.has_extn("pipelining") is is_pipelining


def test_the_sink_comes_back_on_its_port(smtp_sink: SmtpSink) -> None:
    port = smtp_sink.port
    smtp_sink.stop()
    with pytest.raises(OSError, match="refused"):
        send(smtp_sink, KNOWN)
    smtp_sink.start(port)
    send(smtp_sink, KNOWN)
    assert smtp_sink.recipients() == {KNOWN: 1}
