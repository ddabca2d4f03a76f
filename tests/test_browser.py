"""The shop in a real browser: its page, its docs, and Authorize, with no other network.

Chromium is the one on the PATH. Without it the tests are skipped; with ``CI=true`` they fail.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from examples.shop.app import create_app
from examples.shop.demo import PASSWORD
from examples.shop.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REQUIRED = os.environ.get("CI") == "true"
# The browser's own errands, which routes do not see, find no address either.
NO_OTHER_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
PATIENCE_MS = 60_000
"""Only how long a failure takes: a machine under load is slow to draw."""
EMAIL = "viewer@example.com"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a shop that uvicorn serves on a free port."""
    database = tmp_path_factory.mktemp("shop") / "shop.db"
    app = create_app(Settings.for_tests(database_url=f"sqlite:///{database}"))
    server = uvicorn.Server(uvicorn.Config(app, ws="none", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:  # connections wait till it accepts
        serving = Thread(target=server.run, kwargs={"sockets": [listening]})
        serving.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        serving.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:  # pragma: no cover  # depends on the machine
        if REQUIRED:
            pytest.fail("CI=true requires Chromium, as chromium or chromium-browser on the PATH")
        pytest.skip("no Chromium is on the PATH")
    arguments = [NO_OTHER_NETWORK]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=arguments) as browser,
    ):
        yield browser


@pytest.fixture
def page(browser: Browser, shop: str) -> Iterator[Page]:
    """An empty page, which can reach the shop only; asking for anything else fails the test."""
    asked: list[str] = []
    here = f"{shop}/"
    with browser.new_context(base_url=shop) as context:
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", lambda request: asked.append(request.url))
        context.route(lambda url: not url.startswith(here), lambda route: route.abort())
        yield context.new_page()
    assert [url for url in asked if not url.startswith(here)] == []


def authorize(page: Page, password: str) -> Locator:
    """The dialog by which the viewer has tried to log in."""
    page.goto("/docs")
    page.locator(".scheme-container button.authorize").click()
    dialog = page.locator(".dialog-ux")
    dialog.locator("#oauth_username").fill(EMAIL)
    dialog.locator("#oauth_password").fill(password)
    dialog.locator("button.authorize", has_text="Authorize").click()
    return dialog


def ask_who_i_am(page: Page) -> Locator:
    """What "Try it out" shows of the answer to ``GET /users/me``."""
    route = page.locator(".opblock-get", has=page.locator('[data-path="/api/v1/users/me"]'))
    route.locator(".opblock-summary-control").click()
    route.locator("button.try-out__btn").click()
    route.locator("button.execute").click()
    return route.locator(".live-responses-table .response")


def test_the_page_leads_to_the_docs(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="/docs").click()

    expect(page.locator(".swagger-ui .title")).to_contain_text("The shop", timeout=PATIENCE_MS)


def test_whoever_authorizes_is_somebody(page: Page) -> None:
    dialog = authorize(page, PASSWORD)
    dialog.get_by_role("button", name="Close").click()
    answer = ask_who_i_am(page)

    expect(answer.locator(".response-col_status")).to_have_text("200", timeout=PATIENCE_MS)
    expect(answer.locator(".response-col_description")).to_contain_text(
        f'"email": "{EMAIL}"', timeout=PATIENCE_MS
    )


def test_a_wrong_password_is_told(page: Page) -> None:
    dialog = authorize(page, "wrong")

    expect(dialog.locator(".errors")).to_contain_text("invalid_grant", timeout=PATIENCE_MS)
    expect(dialog.locator(".errors")).to_contain_text(
        "The user name or password is wrong.", timeout=PATIENCE_MS
    )
    dialog.get_by_role("button", name="Close").click()
    expect(ask_who_i_am(page).locator(".response-col_status")).to_contain_text(
        "401", timeout=PATIENCE_MS
    )
