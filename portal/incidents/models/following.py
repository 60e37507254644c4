"""Who follows one incident, who has looked at it, and which companies say that they know of it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base


class IncidentFollower(Base):
    """A person's word on one incident alone: its mails whatever else they have muted, or (not `wants`) none of it.

    `company_id` is the company they said so for: it is through this one that they are told.
    """

    __tablename__ = "incident_follower"
    __table_args__ = (
        UniqueConstraint("incident_id", "person_id"),
        Index("ix_incident_follower_person_id", "person_id"),
        Index("ix_incident_follower_company_id", "company_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    wants: Mapped[bool]
    changed_at: Mapped[datetime]


class IncidentSighting(Base):
    """This person had this incident on a page of their portal: written once, when they first did."""

    __tablename__ = "incident_sighting"
    __table_args__ = (
        UniqueConstraint("incident_id", "person_id", "company_id"),
        Index("ix_incident_sighting_person_id", "person_id"),
        Index("ix_incident_sighting_company_id", "company_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    seen_at: Mapped[datetime]


class IncidentAcknowledgement(Base):
    """This company has said that it knows of this incident; `person_id` is who said so."""

    __tablename__ = "incident_acknowledgement"
    __table_args__ = (
        UniqueConstraint("incident_id", "company_id"),
        Index("ix_incident_acknowledgement_company_id", "company_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    acknowledged_at: Mapped[datetime]
