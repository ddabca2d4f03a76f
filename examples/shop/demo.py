"""Demo data: the same three users and 500 items on every machine."""

import random
from contextlib import suppress
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.items.models import Item
from examples.shop.users.models import Role, User
from fastapi_kit import Database, PasswordHasher

PASSWORD = "correct horse battery staple"
ITEMS = 500
_KINDS = {
    "books": ["Atlas", "Cookbook", "Diary", "Novel", "Songbook"],
    "garden": ["Bench", "Hose", "Rake", "Spade", "Watering can"],
    "kitchen": ["Kettle", "Knife", "Pan", "Teapot", "Whisk"],
    "tools": ["Drill", "Hammer", "Level", "Plane", "Saw"],
}
_MANNERS = ["Blue", "Folding", "Heavy", "Little", "Old", "Plain", "Red", "Travel"]
_PRICES = [
    Decimal(cents) / 100 for cents in (490, 990, 1250, 1990, 4900, 12900)
]  # so some are tied


async def add_demo_data(db: Database, hasher: PasswordHasher) -> None:
    """Fill an empty shop; leave any other as it is."""
    # Of workers that find it empty at once, one fills it; the others' users exist then.
    with suppress(IntegrityError):
        async with db.session() as session:
            if await session.scalar(select(User.id).limit(1)) is None:
                await _fill(session, await hasher.hash(PASSWORD))


async def _fill(session: AsyncSession, password_hash: str) -> None:
    users = {
        role: User(
            name=role.title(),
            email=f"{role}@example.com",
            password_hash=password_hash,
            role=role,
        )
        for role in (Role.ADMIN, Role.EDITOR, Role.VIEWER)
    }
    session.add_all(users.values())
    await session.flush()
    session.add_all(_items([users[Role.ADMIN].id, users[Role.EDITOR].id]))


def _items(owner_ids: list[int]) -> list[Item]:
    chance = random.Random(2026)  # noqa: S311  # the same on every machine, and no secret
    items: list[Item] = []
    for _ in range(ITEMS):
        category = chance.choice(sorted(_KINDS))
        rating = None if chance.random() < 0.2 else round(chance.uniform(1, 5), 1)
        items.append(
            Item(
                name=f"{chance.choice(_MANNERS)} {chance.choice(_KINDS[category]).lower()}",
                category=category,
                price=chance.choice(_PRICES),
                rating=rating,
                stock=chance.randint(0, 40),
                owner_id=chance.choice(owner_ids),
            )
        )
    return items
