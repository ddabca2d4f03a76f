import os

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# --8<-- [start:import]
from fastapi_kit import Page, PaginationDep, SessionDep, paginate

# --8<-- [end:import]
from fastapi_kit.db import Database


class Base(DeclarativeBase): ...


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ItemOut(BaseModel):
    id: int
    name: str


db = Database(os.getenv("DATABASE_URL", "sqlite:///./app.db"))
app = FastAPI(lifespan=db.lifespan)


# --8<-- [start:use]
@app.get("/items")
async def list_items(params: PaginationDep, session: SessionDep) -> Page[ItemOut]:
    return await paginate(session, select(Item).order_by(Item.id), params, into=Page[ItemOut])


# --8<-- [end:use]
