import os

from fastapi import FastAPI

# --8<-- [start:import]
from fastapi_kit import Database, Health

# --8<-- [end:import]
# --8<-- [start:use]
db = Database(os.getenv("DATABASE_URL", "sqlite:///./app.db"), check_at_start=False)
app = FastAPI(lifespan=db.lifespan)
app.include_router(Health(checks={"database": db.ping}).router)
# --8<-- [end:use]
