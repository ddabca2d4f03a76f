"""Models with all mixins, and one of SQLModel's, for the tests of repositories."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, ForeignKey, MetaData
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlmodel import Field, SQLModel

from fastapi_kit.db import (
    Base,
    Repository,
    SoftDeleteMixin,
    TimestampMixin,
    UTCDateTime,
    VersionMixin,
)


class Library(Base):
    """A base with tables of its own, so that they do not mix with other tests'."""

    __abstract__ = True
    metadata = MetaData()


class Author(Library):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(TimestampMixin, VersionMixin, SoftDeleteMixin, Library):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    subtitle: Mapped[str | None]
    details: Mapped[dict[str, object] | None] = mapped_column(JSON)
    lent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author | None] = relationship(back_populates="books")

    @property
    def shouted(self) -> str:
        return self.title.upper()

    @shouted.setter
    def shouted(self, value: str) -> None:
        self.title = value.lower()


class Card(TimestampMixin, VersionMixin, SoftDeleteMixin, SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    holder: str
    expires_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class Seat(Library):
    """Its key has two columns."""

    __tablename__ = "seats"

    row: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str


class Books(Repository[Book]):
    model = Book


class Cards(Repository[Card]):
    model = Card


class Seats(Repository[Seat]):
    model = Seat
