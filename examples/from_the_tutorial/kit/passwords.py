# --8<-- [start:use]
from fastapi_kit import PasswordHasher

hasher = PasswordHasher()


async def hash_password(password: str) -> str:
    return await hasher.hash(password)


async def verify_password(plain_password: str, hashed_password: str) -> bool:
    return await hasher.verify(plain_password, hashed_password)


# --8<-- [end:use]
