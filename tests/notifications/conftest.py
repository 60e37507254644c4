"""An outbox on a database of its own whose only relay is a scripted SMTP server."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notifications.outbox import Outbox, opened
from tests.support.smtp_sink import SmtpSink


@pytest.fixture
def environment(database_url: str, smtp_sink: SmtpSink, tmp_path: Path) -> dict[str, str]:
    return {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_MAIL_DOMAIN": "portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "PORTAL_SMTP_URL": smtp_sink.url,
        "PORTAL_LEASE_SECONDS": "2",
        "PORTAL_CONNECTIONS_PER_RELAY": "4",
        "PORTAL_SLICE_SIZE": "100",
    }


@pytest.fixture
def outbox(environment: dict[str, str]) -> Iterator[Outbox]:
    with opened(environment) as found:
        yield found
