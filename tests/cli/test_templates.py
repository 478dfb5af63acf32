import json
from pathlib import Path

import pytest

from idp.cli.templates import app
from tests.cli.installation import Installation

KEPT = '{% extends "original/login/totp.html" %}\n'
LOST = "<h1>Sign in</h1>\n"


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def template(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_extends_the_original_loses_nothing(idp: Installation, tmp_path: Path) -> None:
    template(tmp_path / "own", "login/totp.html", KEPT)
    assert idp.json("check", str(tmp_path / "own")) == {"faults": []}
    assert "Nothing is lost." in idp.do("check", str(tmp_path / "own")).stdout


def test_what_is_lost_is_named_and_the_exit_status_is_1(idp: Installation, tmp_path: Path) -> None:
    template(tmp_path / "own", "login/totp.html", LOST)
    template(tmp_path / "own", "login/totpp.html", KEPT)
    result = idp.do("check", str(tmp_path / "own"), "--json")
    assert result.exit_code == 1
    faults = json.loads(result.stdout)["faults"]
    assert {fault["template"] for fault in faults} == {"login/totp.html", "login/totpp.html"}
    assert any("'code'" in fault["fault"] for fault in faults)


def test_without_a_directory_it_says_what_is_missing(idp: Installation) -> None:
    assert "IDP_TEMPLATES" in idp.refused("check")
