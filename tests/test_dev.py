"""dev.py sets up once, runs what it is told, and says in one line what is in the way."""

import ast
import os
import shutil
import signal
import socket
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

DEV = Path(__file__).parent.parent / "dev.py"
OLD_PYTHON = "import sys, runpy; sys.version_info = (3, 10, 4); runpy.run_path(sys.argv[1])"
TOOL = "import os, sys; print('tool', *sys.argv[1:]); sys.exit(int(os.environ.get('STATUS', 0)))"
FAILING_TOOL = "raise SystemExit('no route to the index')"
RECORDING_TOOL = """
import sys
from pathlib import Path
with open("calls", "a") as calls:
    print(Path(__file__).stem, *sys.argv[1:], file=calls)
"""
SERVER = """
import time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("ended by Ctrl-C")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has only dev.py and a pyproject.toml."""
    shutil.copy(DEV, tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "none"\nversion = "1"\n')
    return tmp_path


@pytest.fixture
def ready_project(project: Path) -> Path:
    """A project whose set-up is done, where pytest, coverage and uvicorn are small stand-ins."""
    module = load(project)
    module.PYTHON.parent.mkdir(parents=True)
    module.PYTHON.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    module.PYTHON.chmod(0o755)
    module.STAMP.write_text(f"{module.stamp_key()} examples test")
    for tool in ("pytest", "coverage"):
        (project / f"{tool}.py").write_text(TOOL)
    (project / "uvicorn.py").write_text(SERVER)
    return project


def load(project: Path) -> ModuleType:
    spec = spec_from_file_location("dev_under_test", project / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dev(project: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "CI": "", **environment}
    command = [sys.executable, str(project / "dev.py"), *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def start_server(project: Path) -> subprocess.Popen[str]:
    """`dev.py run` in a session of its own, as a terminal has it; returns once it serves."""
    process = subprocess.Popen(
        [sys.executable, "-u", project / "dev.py", "run", f"--port={free_port()}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert "ready\n" in iter(process.stdout.readline, "")
    return process


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def test_parses_on_python_3_6() -> None:
    ast.parse(DEV.read_text(), feature_version=(3, 6))


def test_an_old_python_gets_one_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OLD_PYTHON, DEV], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 1
    assert ran.stderr.startswith("dev.py needs Python 3.11 or newer; this is ")
    assert ran.stderr.count("\n") == 1


def test_a_busy_port_gets_one_line_before_any_set_up(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = dev(project, "run", f"--port={port}")

    assert ran.returncode == 1
    assert ran.stderr == f"dev.py: Port {port} on 127.0.0.1 is busy; choose another by --port.\n"
    assert not (project / ".venv").exists()


def test_a_host_that_is_not_ours_gets_one_line(project: Path) -> None:
    ran = dev(project, "run", "--host=192.0.2.1")

    assert ran.returncode == 1
    assert ran.stderr.startswith("dev.py: Cannot listen on 192.0.2.1, port 8000: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_out_of_range_is_refused(project: Path, port: str) -> None:
    ran = dev(project, "run", f"--port={port}")

    assert ran.returncode == 2
    assert "give a number from 1 to 65535" in ran.stderr


def test_a_misspelt_option_is_refused(project: Path) -> None:
    ran = dev(project, "docs", "--stirct")

    assert ran.returncode == 2
    assert "docs does not take --stirct" in ran.stderr


def test_without_a_network_one_line_says_so_and_the_set_up_stays_unfinished(
    ready_project: Path,
) -> None:
    (ready_project / "pip.py").write_text(FAILING_TOOL)

    ran = dev(ready_project, "lint")

    assert ran.returncode == 1
    assert ran.stderr.startswith("dev.py: The packages could not be installed; is there a network?")
    assert ran.stderr.count("\n") == 1
    assert "no route to the index" in (ready_project / ".venv" / "kit-setup.log").read_text()
    assert load(ready_project).finished_groups() == set()


def test_where_uv_fails_pip_installs(ready_project: Path) -> None:
    (ready_project / "pip.py").write_text(RECORDING_TOOL)
    (ready_project / "uv.py").write_text(FAILING_TOOL)

    load(ready_project).set_up("lint")

    assert (ready_project / "calls").read_text().splitlines() == [
        "pip install uv",
        "pip install --upgrade pip>=25.1",
        "pip install --editable . --group=examples --group=lint --group=test",
    ]


def test_a_set_up_adds_the_groups_that_are_missing(ready_project: Path) -> None:
    for tool in ("pip", "uv"):
        (ready_project / f"{tool}.py").write_text(RECORDING_TOOL)
    module = load(ready_project)

    module.set_up("test", "lint")

    by_uv = f"uv pip install --compile-bytecode --python={module.PYTHON} --editable ."
    assert (ready_project / "calls").read_text().splitlines() == [
        "pip install uv",
        f"{by_uv} --group=examples --group=lint --group=test",
    ]
    assert module.finished_groups() == {"examples", "lint", "test"}


def test_what_is_no_python_of_this_kind_is_cleared(project: Path) -> None:
    module = load(project)

    assert module.is_this_python(Path(sys.executable))
    assert not module.is_this_python(project / "missing")
    assert not module.is_this_python(Path("/bin/false"))


def test_a_place_that_cannot_be_written_gets_one_line(project: Path) -> None:
    (project / ".venv").write_text("a file where the folder goes")

    ran = dev(project, "test")

    assert ran.returncode == 1
    assert ran.stderr.startswith("dev.py: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["ensurepip", "venv"])
def test_a_python_without_venv_names_the_package_to_install(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    module = load(project)

    with pytest.raises(module.StopError, match=f"no module {name}.* package python3-venv"):
        module.make_venv(project / ".venv")


def test_a_whole_set_up_is_not_repeated(ready_project: Path) -> None:
    assert "Setting up" not in dev(ready_project, "test").stdout


def test_a_changed_pyproject_is_set_up_again(ready_project: Path) -> None:
    module = load(ready_project)
    assert module.finished_groups() == {"examples", "test"}

    (ready_project / "pyproject.toml").write_text("[project]")

    assert module.finished_groups() == set()


def test_a_stamp_without_its_python_does_not_count(ready_project: Path) -> None:
    module = load(ready_project)

    module.PYTHON.unlink()

    assert module.finished_groups() == set()


def test_an_empty_stamp_does_not_count(ready_project: Path) -> None:
    module = load(ready_project)

    module.STAMP.write_text("")

    assert module.finished_groups() == set()


def test_arguments_go_on_to_pytest(ready_project: Path) -> None:
    ran = dev(ready_project, "test", "-k", "some", "tests/test_x.py")

    assert (
        ran.stdout.splitlines()[-1]
        == "tool --numprocesses=auto --dist=worksteal -k some tests/test_x.py"
    )


def test_a_failure_is_passed_on(ready_project: Path) -> None:
    assert dev(ready_project, "test", STATUS="3").returncode == 3


def test_in_ci_the_coverage_must_be_complete(ready_project: Path) -> None:
    ran = dev(ready_project, "test", CI="true")

    tools = [line for line in ran.stdout.splitlines() if line.startswith("tool")]
    assert tools == [
        "tool --numprocesses=auto --dist=worksteal --cov --cov-report=",
        "tool report --fail-under=100",
    ]


def test_run_prints_the_address_and_the_log_ins(ready_project: Path) -> None:
    (ready_project / "uvicorn.py").write_text(TOOL)
    port = free_port()

    ran = dev(ready_project, "run", f"--port={port}")

    assert f"http://127.0.0.1:{port}/docs" in ran.stdout
    assert "admin@example.com" in ran.stdout
    assert "correct horse battery staple" in ran.stdout
    assert f"tool examples.shop.main:app --host=127.0.0.1 --port={port}" in ran.stdout


def test_ctrl_c_ends_the_server_without_a_traceback(ready_project: Path) -> None:
    process = start_server(ready_project)

    os.killpg(process.pid, signal.SIGINT)

    assert process.communicate(timeout=20) == ("ended by Ctrl-C\n", "")
    assert process.returncode == 130


def test_a_supervisor_that_ends_dev_ends_the_server(ready_project: Path) -> None:
    process = start_server(ready_project)

    process.terminate()

    # The output ends when the last process that holds it has ended: the server too.
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 143
