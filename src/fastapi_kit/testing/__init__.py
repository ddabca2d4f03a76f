"""What tests of a service need: a client with the lifespan run, callers, readable assertions."""

from fastapi_kit.testing.client import app_client
from fastapi_kit.testing.problems import assert_problem
from fastapi_kit.testing.users import as_user
from fastapi_kit.testing.walk import walk

__all__ = ["app_client", "as_user", "assert_problem", "walk"]
