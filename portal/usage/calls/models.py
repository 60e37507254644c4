"""Call records, what they come to by minutes, hours and days, and where what is kept of a company's begins."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime
from portal.usage.calls.rules import (
    CALL_ID_LENGTH,
    CARRIER_LENGTH,
    NUMBER_LENGTH,
    SCOPE_LENGTH,
    TAIL_LENGTH,
    CallStep,
    Outcome,
    instant,
    milliseconds,
)
from portal.usage.rules import TRUNK_LENGTH

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(UTCDateTime):
    """A moment to the millisecond, stored as a whole number of them: a call has four, and there are millions."""

    impl = BigInteger  # type: ignore[assignment]
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else milliseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else instant(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _read


def _read(value: int | None) -> datetime | None:
    return None if value is None else BEGINNING + timedelta(milliseconds=value)


class CallRecord(Base):
    """All that is known of one call of a company, which its Call-ID names, whatever records told of it.

    A call that a switch tried over several carriers is one: times are the first start, ringing and answer and the last
    end, the result is the best any of the tries came to. `code` is the SIP response it came as. `from_tail` and
    `to_tail` are the digits of the numbers from the last to the first, by which they are found.
    """

    __tablename__ = "call_record"
    __table_args__ = (
        Index("uq_call_record_company_id_call_id", "company_id", "call_id", unique=True),
        Index("ix_call_record_company_id_started_at", "company_id", "started_at"),
        Index("ix_call_record_company_id_outcome_started_at", "company_id", "outcome", "started_at"),
        Index("ix_call_record_company_id_from_tail", "company_id", "from_tail"),
        Index("ix_call_record_company_id_to_tail", "company_id", "to_tail"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    call_id: Mapped[str] = mapped_column(String(CALL_ID_LENGTH))
    from_number: Mapped[str] = mapped_column(String(NUMBER_LENGTH))
    to_number: Mapped[str] = mapped_column(String(NUMBER_LENGTH))
    from_tail: Mapped[str] = mapped_column(String(TAIL_LENGTH))
    to_tail: Mapped[str] = mapped_column(String(TAIL_LENGTH))
    started_at: Mapped[datetime] = mapped_column(Instant())
    ringing_at: Mapped[datetime | None] = mapped_column(Instant())
    answered_at: Mapped[datetime | None] = mapped_column(Instant())
    ended_at: Mapped[datetime | None] = mapped_column(Instant())
    outcome: Mapped[Outcome | None]
    code: Mapped[int | None]
    trunk: Mapped[str] = mapped_column(String(TRUNK_LENGTH))
    carrier: Mapped[str] = mapped_column(String(CARRIER_LENGTH))
    # No foreign key: a service that is gone takes no call with it, and looking for them would hold the house.
    service_id: Mapped[int | None]


class CallTally(Base):
    """What calls come to in one step of time, written with their records: always what all of them say.

    `scope` is the whole company (""), one service ("s:7") or one trunk ("t:London"). An attempt, and whether it was
    answered, counts where it started; talk and what is closed where it ended. `closed` are attempts that were over in
    it, never ended ones a day after they started. `peak` is the highest count of attempts in one second, `seconds` the
    counts of a minute. `open` are the attempts in progress as an hour or a day begins; of minutes it is not kept.
    """

    __tablename__ = "call_tally"
    __table_args__ = (Index("ix_call_tally_step_at", "step", "at"), {"sqlite_with_rowid": False})

    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(SCOPE_LENGTH), primary_key=True)
    step: Mapped[CallStep] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant(), primary_key=True)
    attempts: Mapped[int]
    answered: Mapped[int]
    effective: Mapped[int]
    rung: Mapped[int]
    pdd_ms: Mapped[int] = mapped_column(BigInteger())
    ended: Mapped[int]
    talk_ms: Mapped[int] = mapped_column(BigInteger())
    closed: Mapped[int]
    open: Mapped[int]
    peak: Mapped[int]
    seconds: Mapped[bytes] = mapped_column(LargeBinary())


class CallBook(Base):
    """Where what is kept of a company's calls begins, as far as something was forgotten.

    Whoever writes calls of a company holds its row, so that no two count without the records of the other.
    """

    __tablename__ = "call_book"

    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"), primary_key=True)
    whole_from: Mapped[datetime | None]
