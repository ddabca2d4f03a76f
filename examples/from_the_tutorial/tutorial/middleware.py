import logging
import time
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response

logger = logging.getLogger("app")
app = FastAPI()


# --8<-- [start:taught]
@app.middleware("http")
async def log_requests(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    logger.info("Incoming: %s %s", request.method, request.url)
    response = await call_next(request)
    logger.info("Completed: %s", response.status_code)
    return response


@app.middleware("http")
async def add_process_time(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    start = time.time()
    response = await call_next(request)
    response.headers["X-Process-Time"] = str(time.time() - start)
    return response


# --8<-- [end:taught]
@app.get("/items/{item_id}")
async def read_item(item_id: int) -> int:
    return {1: 100}[item_id]
