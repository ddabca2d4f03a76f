from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, SecretStr

from examples.shop.users.models import Role
from fastapi_kit.auth import Password

Name = Annotated[str, Field(min_length=1, max_length=100)]
# One person, one account: whatever case they type.
Email = Annotated[EmailStr, AfterValidator(str.lower), Field(max_length=254)]


class Registration(BaseModel):
    name: Name
    email: Email
    password: Password


class Profile(BaseModel):
    """What users may change of their own; what is absent stays."""

    name: Name = Field(default_factory=str)  # no plain default, which a generated client would send


class PasswordChange(BaseModel):
    current_password: SecretStr
    new_password: Password


class ForgottenPassword(BaseModel):
    email: Email


class PasswordReset(BaseModel):
    token: SecretStr
    password: Password


class EmailConfirmation(BaseModel):
    token: SecretStr


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str
    role: Role
    is_active: bool
    verified: bool
    created_at: datetime
