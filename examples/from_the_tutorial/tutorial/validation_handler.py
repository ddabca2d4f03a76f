from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, field_validator

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


# --8<-- [start:taught]
@app.exception_handler(RequestValidationError)
async def validation_handler(_: Request, exc: RequestValidationError) -> JSONResponse:
    return JSONResponse({"message": "Validation error", "errors": exc.errors()}, status_code=400)


# --8<-- [end:taught]
