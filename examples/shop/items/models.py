from decimal import Decimal

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from examples.shop.columns import CreatedAt, Money
from fastapi_kit.db import Base, VersionMixin


class Item(VersionMixin, Base):
    """Something that is sold. The indexes keep each order of the listing quick at any depth."""

    __tablename__ = "items"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        Index(None, "category", "id"),
        Index(None, "created_at", "id"),
        Index(None, "name", "id"),
        Index(None, "price", "id"),
        Index(None, "rating", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    category: Mapped[str] = mapped_column(String(50))
    price: Mapped[Decimal] = mapped_column(Money)
    rating: Mapped[float | None] = mapped_column(Double)
    stock: Mapped[int] = mapped_column(default=0)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[CreatedAt]
