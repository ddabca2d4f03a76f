"""The page at ``/``: what there is to try."""

from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from examples.shop.demo import PASSWORD
from examples.shop.settings import Settings

_HOME = Template((Path(__file__).parent / "home.html").read_text("utf-8"))
_LOGINS = Template((Path(__file__).parent / "logins.html").read_text("utf-8"))


def pages_router(settings: Settings) -> APIRouter:
    folder = escape(str(settings.mail_folder))
    logins = _LOGINS.substitute(password=escape(PASSWORD), mail_folder=folder)
    home = _HOME.substitute(
        name=escape(settings.project_name), logins=logins if settings.has_demo_data else ""
    )
    router = APIRouter(include_in_schema=False)

    @router.get("/", response_class=HTMLResponse)
    async def show_home() -> str:
        return home

    return router
