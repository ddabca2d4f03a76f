import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def work_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to run in, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    settings = {
        name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "WEB_"))
    }
    monkeypatch.setattr(os, "environ", settings)
    return tmp_path
