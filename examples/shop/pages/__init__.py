"""The page at ``/``: what there is to try."""

from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from examples.shop.demo import PASSWORD
from examples.shop.settings import Settings

_HOME = Template((Path(__file__).parent / "home.html").read_text("utf-8"))
_LOGINS = Template((Path(__file__).parent / "logins.html").read_text("utf-8"))


def pages_router(settings: Settings) -> APIRouter:
    name = escape(settings.project_name)
    demo = {"password": escape(PASSWORD), "mail_folder": escape(str(settings.mail_folder))}
    router = APIRouter(include_in_schema=False)

    @router.get("/", response_class=HTMLResponse)
    async def show_home(request: Request) -> str:
        address = escape(str(request.base_url).removesuffix("/"))
        logins = _LOGINS.substitute(demo, address=address) if settings.has_demo_data else ""
        return _HOME.substitute(name=name, address=address, logins=logins)

    return router
