from typing import Annotated

from fastapi import Depends, FastAPI

ITEMS = [f"item {number}" for number in range(1, 1001)]
app = FastAPI()


# --8<-- [start:taught]
class Pagination:
    def __init__(self, skip: int = 0, limit: int = 10) -> None:
        self.skip = skip
        self.limit = limit


@app.get("/items")
def list_items(pagination: Annotated[Pagination, Depends()]) -> list[str]:
    return ITEMS[pagination.skip : pagination.skip + pagination.limit]


# --8<-- [end:taught]
