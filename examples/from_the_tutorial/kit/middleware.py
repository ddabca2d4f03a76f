from fastapi import FastAPI

# --8<-- [start:import]
from fastapi_kit import AppSettings, setup_app

# --8<-- [end:import]

app = FastAPI()

# --8<-- [start:use]
setup_app(app, AppSettings(log_format="json"), process_time=True)


# --8<-- [end:use]
@app.get("/items/{item_id}")
async def read_item(item_id: int) -> int:
    return {1: 100}[item_id]
