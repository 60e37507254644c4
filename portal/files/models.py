"""Files people gave us: what they are, whose they are, and where their bytes lie."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base

_IS_DELETED = text("deleted_at IS NOT NULL")
_IS_UNFINISHED = text("linked_at IS NULL")
_IS_OF_MESSAGE = text("message_id IS NOT NULL")


class StoredFile(Base):
    """One file. Its bytes lie in the store under `storage_name`, which is random and is told to nobody.

    It belongs to a subject of an upper capability, known by kind and id only (`portal.files.subjects`), and may have
    come with a message. Until `linked_at` it is unfinished: somebody chose it for a form that was not sent yet, only
    they see it, and after a day it goes. `company_id` is whose it is, `is_by_staff` whether staff gave it, and
    `is_internal` whether only staff may ever see it. `width` and `height` are those of an image that pages may show,
    in pixels; `has_preview` is whether a small copy of it lies beside it. With `deleted_at` it is gone for everybody,
    and the clean-up takes the bytes away and then the row. `size` is in bytes, `sha256` of what is stored.
    """

    __tablename__ = "stored_file"
    __table_args__ = (
        Index("ix_stored_file_subject_kind_subject_id_id", "subject_kind", "subject_id", "id"),
        Index("ix_stored_file_company_id", "company_id", "id"),
        Index("ix_stored_file_uploaded_by_id", "uploaded_by_id"),
        Index("ix_stored_file_message_id", "message_id", sqlite_where=_IS_OF_MESSAGE, postgresql_where=_IS_OF_MESSAGE),
        Index("ix_stored_file_deleted", "id", sqlite_where=_IS_DELETED, postgresql_where=_IS_DELETED),
        Index("ix_stored_file_unfinished", "uploaded_at", sqlite_where=_IS_UNFINISHED, postgresql_where=_IS_UNFINISHED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(26), unique=True)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="SET NULL"))
    subject_kind: Mapped[str | None] = mapped_column(String(24))
    subject_id: Mapped[int | None]
    message_id: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(160))
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    storage_name: Mapped[str] = mapped_column(String(60), unique=True)
    width: Mapped[int | None]
    height: Mapped[int | None]
    has_preview: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_internal: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_by_staff: Mapped[bool] = mapped_column(default=False, server_default=false())
    uploaded_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    uploader_name: Mapped[str] = mapped_column(String(200))
    uploaded_at: Mapped[datetime]
    linked_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    @property
    def is_image(self) -> bool:
        """Whether pages may show it: only what was opened and written anew as an image has a width."""
        return self.width is not None
