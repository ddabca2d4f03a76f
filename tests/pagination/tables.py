"""Tables and shapes that these tests page over: 30 items with 0 to 3 tags each, prices tied."""

from pydantic import BaseModel
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]
    tags: Mapped[list["Tag"]] = relationship(order_by="Tag.id", back_populates="item")


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    name: Mapped[str]
    item: Mapped[Item] = relationship(back_populates="tags")


class Seat(Base):
    __tablename__ = "seat"

    row: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column("place", primary_key=True)


class Media(Base):
    __tablename__ = "media"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "media"}  # noqa: RUF012


class Film(Media):
    __tablename__ = "film"

    id: Mapped[int] = mapped_column(ForeignKey("media.id"), primary_key=True)
    minutes: Mapped[int]

    __mapper_args__ = {"polymorphic_identity": "film"}  # noqa: RUF012


class Booking(Base):
    __tablename__ = "booking"

    id: Mapped[int] = mapped_column(primary_key=True)
    row: Mapped[int]


class ItemOut(BaseModel):
    id: int
    name: str


class TagOut(BaseModel):
    name: str


class TaggedItemOut(ItemOut):
    tags: list[TagOut]


def demo_rows() -> list[Base]:
    items = [
        Item(id=n, name=f"item {n}", price=n % 3, tags=[Tag(name=f"tag {t}") for t in range(n % 4)])
        for n in range(1, 31)
    ]
    seats = [Seat(row=row, number=number) for row in (1, 2) for number in (1, 2, 3)]
    bookings = [Booking(row=row) for row in (1, 1, 2)]
    films = [Film(minutes=60 + n) for n in range(7)]
    return [*items, *seats, *bookings, *films]
