"""An outbox whose channels may lead to a receiver on this machine."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notifications.channels.lane import Lane
from tests.notifications.outbox import opened
from tests.support.receiver import Receiver
from tests.support.smtp_sink import SmtpSink


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def environment(database_url: str, tmp_path: Path, receiver: Receiver, smtp_sink: SmtpSink) -> dict[str, str]:
    return {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_MAIL_DOMAIN": "portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "PORTAL_SMTP_URL": smtp_sink.url,
        "PORTAL_LEASE_SECONDS": "2",
        "PORTAL_OUTSIDE_ALLOW": "127.0.0.1",
        "PORTAL_OUTSIDE_PORTS": str(receiver.port),
        "PORTAL_SMS_URL": f"smseagle://token@127.0.0.1:{receiver.port}",
    }


@pytest.fixture
def lane(environment: dict[str, str], receiver: Receiver) -> Iterator[Lane]:
    with opened(environment) as outbox:
        yield Lane(outbox, receiver)
