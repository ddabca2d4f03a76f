import os

from fastapi import FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# --8<-- [start:import]
from fastapi_kit import Database, SessionDep, database_errors, setup_app

# --8<-- [end:import]


class Base(DeclarativeBase): ...


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


# --8<-- [start:use]
db = Database(os.getenv("DATABASE_URL", "sqlite:///./app.db"))
app = FastAPI(lifespan=db.lifespan)
setup_app(app, extra_errors=[database_errors()])


@app.post("/users", status_code=201)
async def create_user(email: str, name: str, session: SessionDep) -> dict[str, str]:
    session.add(User(email=email, name=name))
    return {"email": email, "name": name}


# --8<-- [end:use]
