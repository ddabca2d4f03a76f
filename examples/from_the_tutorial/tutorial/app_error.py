from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

STOCK = {1: 0, 2: 5}
app = FastAPI()


# --8<-- [start:taught]
class AppError(Exception):
    def __init__(self, message: str, status_code: int = 400) -> None:
        self.message = message
        self.status_code = status_code


@app.exception_handler(AppError)
async def app_error_handler(_: Request, exc: AppError) -> JSONResponse:
    return JSONResponse({"detail": exc.message}, status_code=exc.status_code)


@app.post("/items/{item_id}/buy")
async def buy(item_id: int) -> int:
    if STOCK[item_id] == 0:
        raise AppError("None left", status_code=409)
    return STOCK[item_id]


# --8<-- [end:taught]
