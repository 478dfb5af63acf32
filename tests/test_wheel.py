"""The wheel: whatever the checkout needs to run is in it, and nothing that only the checkout needs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={target}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    [built] = target.glob("*.whl")
    return built


def tracked(directory: str) -> set[str]:
    """The files below a directory of the checkout, caches left out."""
    files = (path for path in (ROOT / directory).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in files}


def test_code_static_files_templates_and_migrations_are_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert tracked("idp") <= names
    assert {f"idp/_data/{name}" for name in tracked("templates") | tracked("alembic")} <= names
    assert any(name.startswith("idp/web/static/") for name in names)


def test_tests_caches_keys_and_data_are_not_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith(".pyc") or not name.startswith(("idp/", "idp-"))]


def test_it_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *libraries])}
    program = (
        "from idp.base.resources import checkout, resource; from idp.settings import load_settings; "
        "print(checkout(), resource('templates'), resource('alembic'), "
        "load_settings({'XDG_DATA_HOME': '/srv'}).data_dir, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, check=True)
    data = tmp_path / "site" / "idp" / "_data"
    assert done.stdout.decode().splitlines() == [
        "None",
        str(data / "templates"),
        str(data / "alembic"),
        "/srv/idp/data",
    ]
