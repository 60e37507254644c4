"""An installation whose mails come back to an address of its own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.notifications.models import Delivery
from portal.notifications.rules import DeliveryState
from tests.conftest import NOW
from tests.notifications.bounces.reports import ALICE, BOUNCES
from tests.notifications.outbox import queue

SentMail = Callable[..., Delivery]


@pytest.fixture
def bouncing(app: Flask, session: None, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], bounce_address=BOUNCES))
    return app


@pytest.fixture
def sent(bouncing: Flask) -> SentMail:
    """A mail that a server has taken."""

    def mail(key: str = "incident:1", address: str = ALICE, at: datetime = NOW, **more: Any) -> Delivery:
        state = more.pop("state", DeliveryState.SENT)
        broadcast = queue(key, [{"address": address, "name": "Alice", **more}], now=at)
        delivery = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id)).one()
        delivery.state, delivery.attempts = state, 1
        delivery.finished_at = at if state is DeliveryState.SENT else None
        db.session.flush()
        return delivery

    return mail


def token_of(delivery: Delivery) -> str:
    return delivery.message_id[1:27]
