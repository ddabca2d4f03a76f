import os
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase): ...


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


engine = create_engine(os.getenv("DATABASE_URL", "sqlite:///./app.db"))
SessionLocal = sessionmaker(engine)


def get_db() -> Iterator[Session]:
    with SessionLocal() as db:
        yield db


app = FastAPI()


# --8<-- [start:taught]
class PaginationParams(BaseModel):
    page: int
    size: int


async def get_pagination(
    page: Annotated[int, Query(ge=1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 10,
) -> PaginationParams:
    return PaginationParams(page=page, size=size)


@app.get("/items", response_model=list[ItemOut])
def list_items(
    pagination: Annotated[PaginationParams, Depends(get_pagination)],
    db: Annotated[Session, Depends(get_db)],
) -> Any:
    offset = (pagination.page - 1) * pagination.size
    statement = select(Item).order_by(Item.id).offset(offset).limit(pagination.size)
    return db.scalars(statement).all()


# --8<-- [end:taught]
