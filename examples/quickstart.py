from typing import Annotated

from fastapi import Depends, FastAPI

import fastapi_kit as kit

settings = kit.AppSettings()
users = kit.MemoryUsers()
users.add("ada", "correct horse battery staple", roles={"admin"})
auth = kit.Auth.from_secret(settings.secret_key, users=users, token_url="/auth/token")
CurrentUser = Annotated[kit.Principal, Depends(auth.current_user)]
app = FastAPI(**settings.app_options)
kit.setup_app(app, settings)
app.include_router(kit.auth_router(auth), prefix="/auth")


@app.get("/items")
async def list_items(params: kit.PaginationDep) -> kit.Page[int]:
    return kit.paginate_sequence(range(1, 101), params)


@app.delete("/items/{number}", dependencies=[Depends(auth.require(kit.roles("admin")))])
async def remove_item(number: int, user: CurrentUser) -> None:
    raise kit.NotFoundError(f"Sorry {user.subject}, there is no item {number}.")
