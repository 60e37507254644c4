"""What the watch over the installation remembers."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base


class MailAlarm(Base):
    """One time for which mails of incidents were late; told once when it began, cleared when it is over.

    `is_open` is True until then and None afterwards, so that there is one open alarm at most. `due_since` is since when
    the mail that had waited longest could have gone out, `reason` what kept it.
    """

    __tablename__ = "mail_alarm"

    id: Mapped[int] = mapped_column(primary_key=True)
    is_open: Mapped[bool | None] = mapped_column(unique=True)
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    due_since: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(500))
