from fastapi import FastAPI
from pydantic import BaseModel, Field, field_validator

# --8<-- [start:import]
from fastapi_kit import setup_app

# --8<-- [end:import]

app = FastAPI()


class NewUser(BaseModel):
    name: str
    password: str = Field(min_length=12)

    @field_validator("name")
    @classmethod
    def name_is_free(cls, name: str) -> str:
        if name == "root":
            raise ValueError("This name is reserved")
        return name


@app.post("/users")
async def create_user(user: NewUser) -> str:
    return user.name


# --8<-- [start:use]
setup_app(app)
# --8<-- [end:use]
