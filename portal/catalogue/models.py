"""What exists: components, services, what depends on what, who holds what.

Dependencies and holdings are valid from–to, so that uptime can use what was true then.
`public_id` is what outsiders see of a row: opaque, and unique per source.
"""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from portal.accounts.models import Company
from portal.catalogue.rules.folding import Fold
from portal.catalogue.rules.services import alias_keys
from portal.database import Base, Versioned
from portal.searching import KEY_LENGTH, key_of, keyed

OWN = "own"
"""The source of rows made here; an import names its own."""


class ComponentGroup(Versioned, Base):
    """Components under a heading of the status page; `fold` says whether they stand open there."""

    __tablename__ = "component_group"
    __table_args__ = (UniqueConstraint("source", "public_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(40), default=OWN)
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int] = mapped_column(default=0)
    fold: Mapped[Fold] = mapped_column(default=Fold.OPEN, server_default=Fold.OPEN.value)
    created_at: Mapped[datetime]


class Component(Versioned, Base):
    """A carrier, route, host or anything else that can break.

    `external_id` is what another system of ours calls it; imports find it again by that. One of which pages are told
    `only_if_degraded` stands on them while it is not operational.
    """

    __tablename__ = "component"
    __table_args__ = (UniqueConstraint("source", "public_id"), Index("ix_component_group_id", "group_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(40), default=OWN)
    title: Mapped[str] = mapped_column(String(200))
    title_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("title"), server_default="")
    external_id: Mapped[str | None] = mapped_column(String(120), index=True, unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("component_group.id", ondelete="SET NULL"))
    position: Mapped[int] = mapped_column(default=0)
    only_if_degraded: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    group: Mapped[ComponentGroup | None] = relationship(lazy="raise_on_sql")

    @validates("title")
    def _key_title(self, _name: str, value: str) -> str:
        self.title_key = key_of(value)
        return value


class Service(Versioned, Base):
    """What is sold. `category` is a heading on customer screens, `icon` the name of a drawing.

    `aliases` are other names customers ask for it by, `alias_keys` their compared forms, a line each. A service that
    `is_global` is held by every company, later ones too: `global_since` is when it became so, `global_up_to` the id of
    the last company that was looked at for it. `notifies` are the service statuses that are mailed of it, by their
    values; None is all of them.
    """

    __tablename__ = "service"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    category: Mapped[str] = mapped_column(String(100), default="")
    description: Mapped[str | None] = mapped_column(Text)
    icon: Mapped[str] = mapped_column(String(40), default="", server_default="")
    aliases: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    alias_keys: Mapped[str] = mapped_column(Text, default="", server_default="")
    is_global: Mapped[bool] = mapped_column(default=False, server_default=false())
    global_since: Mapped[datetime | None]
    global_up_to: Mapped[int] = mapped_column(default=0, server_default="0")
    notifies: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    @validates("aliases")
    def _key_aliases(self, _name: str, value: list[str]) -> list[str]:
        self.alias_keys = alias_keys(value)
        return value


class ServiceDependency(Base):
    """While valid, this service breaks when this component breaks."""

    __tablename__ = "service_dependency"
    __table_args__ = (
        Index("ix_service_dependency_component_id", "component_id", "service_id"),
        Index("ix_service_dependency_service_id", "service_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]

    service: Mapped[Service] = relationship(lazy="raise_on_sql")
    component: Mapped[Component] = relationship(lazy="raise_on_sql")


class Holding(Versioned, Base):
    """One company's use of one service, under its own reference such as a circuit or account number."""

    __tablename__ = "holding"
    __table_args__ = (
        Index("ix_holding_company_id", "company_id", "service_id"),
        Index("ix_holding_service_id", "service_id", "company_id"),
        Index("ix_holding_reference_key", "reference_key", postgresql_ops={"reference_key": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    reference: Mapped[str] = mapped_column(String(120), default="")
    reference_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("reference"), server_default="")
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]

    company: Mapped[Company] = relationship(lazy="raise_on_sql")
    service: Mapped[Service] = relationship(lazy="raise_on_sql")

    @validates("reference")
    def _key_reference(self, _name: str, value: str) -> str:
        self.reference_key = key_of(value)
        return value


class HoldingDependency(Base):
    """While valid, this one holding breaks when this component breaks, beside what its service depends on."""

    __tablename__ = "holding_dependency"
    __table_args__ = (
        Index("ix_holding_dependency_component_id", "component_id", "holding_id"),
        Index("ix_holding_dependency_holding_id", "holding_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    holding_id: Mapped[int] = mapped_column(ForeignKey("holding.id", ondelete="CASCADE"))
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]

    holding: Mapped[Holding] = relationship(lazy="raise_on_sql")
    component: Mapped[Component] = relationship(lazy="raise_on_sql")


class ListOrder(Base):
    """The version of a list that people put in order, such as "components".

    A list never touched has no row and counts as 1. Whoever adds to it, takes from it or moves in it raises the
    version first, and so waits for others who do.
    """

    __tablename__ = "list_order"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    version: Mapped[int] = mapped_column(default=1)
