from fastapi import FastAPI

# --8<-- [start:import]
from fastapi_kit import AppError, setup_app

# --8<-- [end:import]
STOCK = {1: 0, 2: 5}
app = FastAPI()

# --8<-- [start:use]
setup_app(app)


@app.post("/items/{item_id}/buy")
async def buy(item_id: int) -> int:
    if STOCK[item_id] == 0:
        raise AppError("None left", status_code=409)
    return STOCK[item_id]


# --8<-- [end:use]
