from fastapi import FastAPI

# --8<-- [start:import]
from fastapi_kit.pagination import SkipLimitDep, SkipLimitPage, paginate_sequence

# --8<-- [end:import]
ITEMS = [f"item {number}" for number in range(1, 1001)]
app = FastAPI()


# --8<-- [start:use]
@app.get("/items")
def list_items(params: SkipLimitDep) -> SkipLimitPage[str]:
    return paginate_sequence(ITEMS, params)


# --8<-- [end:use]
