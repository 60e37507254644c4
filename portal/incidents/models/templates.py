"""Reports to begin with: what is wrong so often that it is worth having written down before."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Versioned
from portal.incidents.rules import Audience, State


class IncidentTemplate(Versioned, Base):
    """A report, or its next update, as staff begin with it.

    `title` and `body` may hold variables (`rules.templates`); an empty title leaves that of the form as it is.
    `titles` and `bodies` are both in other languages. `state`
    and `audience` are None where the template says nothing of them. `severities` are by component id, as text: what was
    archived since is left out when it is used. `promise` is how many minutes customers are promised the next update
    in, None if that is left to the form. `starter` names the one of the starter set it came from.
    """

    __tablename__ = "incident_template"
    __table_args__ = (
        Index(
            "uq_incident_template_starter",
            "starter",
            unique=True,
            sqlite_where=text("starter IS NOT NULL"),
            postgresql_where=text("starter IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    title: Mapped[str] = mapped_column(String(200), default="")
    body: Mapped[str] = mapped_column(Text)
    titles: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    bodies: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    state: Mapped[State | None]
    audience: Mapped[Audience | None]
    severities: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    notify: Mapped[bool] = mapped_column(default=True)
    promise: Mapped[int | None]
    position: Mapped[int] = mapped_column(default=0)
    starter: Mapped[str | None] = mapped_column(String(40))
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
