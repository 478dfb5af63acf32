import json
from pathlib import Path

import pytest

from idp.base import jwk
from idp.cli.client import app
from tests.cli.installation import Installation

ADD = ("add", "--name", "Example Bank", "--redirect-uri", "https://bank.example/cb")


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def test_add_shows_the_secret_once_and_keeps_its_digest(idp: Installation) -> None:
    added = idp.json(*ADD, "--min-acr", "mfa", "--post-logout-redirect-uri", "https://bank.example/")
    assert len(added["client_secret"]) == 43
    assert (added["min_acr"], added["redirect_uris"]) == ("mfa", ["https://bank.example/cb"])
    shown = idp.json("show", added["client_id"])
    assert shown == {name: value for name, value in added.items() if name != "client_secret"}
    assert added["client_secret"] not in idp.do("show", added["client_id"]).stdout


def test_a_public_client_has_no_secret(idp: Installation) -> None:
    for options in (("--public",), ("--auth-method", "none"), ("--public", "--auth-method", "none")):
        added = idp.json(*ADD, *options)
        assert (added["client_secret"], added["token_endpoint_auth_method"]) == (None, "none")


def test_a_client_with_keys_has_no_secret(idp: Installation, tmp_path: Path) -> None:
    key = jwk.generate("ES256", rsa_bits=2048).public_jwk
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [key]}))
    added = idp.json(*ADD, "--auth-method", "private_key_jwt", "--jwks", str(file))
    assert (added["client_secret"], added["jwks"]) == (None, {"keys": [key]})
    file.write_text("[[[")
    assert "cannot be read as JSON" in idp.refused(*ADD, "--jwks", str(file))


def test_a_machine_client_takes_any_scope(idp: Installation) -> None:
    added = idp.json("add", "--name", "Job", "--grant", "client_credentials", "--scope", "stock:read x.y/z")
    assert (added["scope"], added["grant_types"]) == ("stock:read x.y/z", ["client_credentials"])


def test_all_faults_are_told_at_once(idp: Installation) -> None:
    told = idp.refused("add", "--name", "", "--redirect-uri", "http://bank.example/cb#x", "--min-acr", "aal3")
    assert [word in told for word in ("client_name", "redirect_uris", "min_acr")] == [True] * 3
    assert idp.json("list") == {"clients": []}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("add",), id="no-name"),
        pytest.param((*ADD, "--public", "--auth-method", "client_secret_basic"), id="contradiction"),
        pytest.param((*ADD, "--jwks-uri", "https://bank.example/jwks"), id="unknown-option"),
        pytest.param((*ADD, "--jwks", "/no/such/file"), id="no-file"),
        pytest.param(("show",), id="no-argument"),
        pytest.param(("vanish",), id="no-command"),
    ],
)
def test_bad_usage_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert Installation(app, "postgresql://nowhere.invalid/idp", tmp_path).do(*arguments).exit_code == 2


def test_an_unknown_client_is_refused(idp: Installation) -> None:
    for command in ("show", "update", "disable", "enable", "rotate-secret", "remove"):
        for client_id in ("nobody", "", "a\udcffb"):
            assert "there is no client" in idp.refused(command, client_id)


def test_10_4_12_response_modes_are_listed(idp: Installation) -> None:
    added = idp.json(*ADD, "--response-mode", "form_post")
    assert added["response_modes"] == ["form_post"]
    modes = ("--response-mode", "query", "--response-mode", "form_post")
    assert idp.json("update", added["client_id"], *modes)["response_modes"] == ["query", "form_post"]


def test_update_changes_what_is_given(idp: Installation) -> None:
    added = idp.json(*ADD, "--min-acr", "mfa", "--policy-uri", "https://bank.example/privacy")
    updated = idp.json("update", added["client_id"], "--name", "New Bank", "--min-acr", "")
    assert updated == {**added, "client_name": "New Bank", "min_acr": None, "client_secret": None}
    assert "redirect_uris" in idp.refused("update", added["client_id"], "--redirect-uri", "nowhere")


def test_update_gives_and_takes_the_secret_with_the_method(idp: Installation) -> None:
    client_id = idp.json(*ADD)["client_id"]
    assert idp.json("update", client_id, "--public")["client_secret"] is None
    assert "no secret" in idp.refused("rotate-secret", client_id)
    assert idp.json("update", client_id, "--auth-method", "client_secret_post")["client_secret"]


def test_rotating_gives_another_secret(idp: Installation) -> None:
    added = idp.json(*ADD)
    rotated = idp.json("rotate-secret", added["client_id"])
    assert rotated["client_id"] == added["client_id"]
    assert len({added["client_secret"], rotated["client_secret"]}) == 2


def test_disable_enable_and_remove(idp: Installation) -> None:
    client_id = idp.json(*ADD)["client_id"]
    assert idp.json("disable", client_id)["disabled"] is True
    assert idp.json("update", client_id, "--name", "Other")["disabled"] is True
    assert idp.json("enable", client_id)["disabled"] is False
    assert idp.json("remove", client_id) == {"client_id": client_id, "removed": True}
    assert idp.json("list") == {"clients": []}


def test_people_get_text(idp: Installation) -> None:
    assert "idp client add" in idp.do("list").stdout
    added = idp.do(*ADD)
    assert "not shown again" in added.stdout
    assert "Example Bank" in idp.do("list").stdout
    assert added.stderr == ""
