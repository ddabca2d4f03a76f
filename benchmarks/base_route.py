"""The route that all ratios are measured against: small, so that what surrounds it shows."""

from typing import Any

from fastapi import APIRouter, FastAPI


def item(item_id: int) -> dict[str, Any]:
    """What the route answers with."""
    return {
        "id": item_id,
        "name": "Garden chair",
        "price": 49.5,
        "tags": ["garden", "wood"],
        "stock": {"berlin": 3, "lyon": 12},
    }


def bare() -> FastAPI:
    """An app with one route in an included router."""
    router = APIRouter()

    @router.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, Any]:
        return item(item_id)

    app = FastAPI()
    app.include_router(router)
    return app
