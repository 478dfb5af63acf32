"""The log of `idp serve`: one line an entry, which a machine can read."""

import io
import json
import logging
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from structlog.contextvars import bound_contextvars

from idp.cli.logs import formatter
from tests.cli.test_serve import Serving

EVIL = "x\r\n{}\x1b[2K\u2028y"


def written(*, fails: bool = False) -> str:
    """What a line of the log looks like."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter())
    log = logging.Logger("idp.test")
    log.addHandler(handler)
    with bound_contextvars(request="r1"):
        if fails:
            try:
                raise ValueError(EVIL)
            except ValueError:
                log.exception("it failed: %s", EVIL)
        else:
            log.info("refused: %s", EVIL)
    return stream.getvalue()


def test_16_2_4_a_line_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASVS 16.2.4, 16.2.2: with the time in UTC and the request."""
    monkeypatch.setenv("IDP_LOG_FORMAT", "json")
    entry = json.loads(written())
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": f"refused: {EVIL}", "level": "info", "logger": "idp.test", "request": "r1"}


@pytest.mark.parametrize("fails", [False, True])
def test_16_4_1_what_is_sent_adds_no_line_to_the_log(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """ASVS 16.4.1, A-57: a traceback too is one line for a machine."""
    monkeypatch.delenv("IDP_LOG_FORMAT", raising=False)
    [line, nothing] = written(fails=fails).split("\n")
    assert (line.isascii(), line.isprintable(), nothing) == (True, True, "")
    assert ("ValueError" in json.loads(line).get("exception", "")) is fails


def test_people_may_have_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_LOG_FORMAT", "text")
    assert "refused: x" in written()
    assert not written().startswith("{")


@pytest.mark.parametrize("workers", [1, 2])
def test_16_2_4_every_line_of_the_server_is_json(scratch: Path, tmp_path: Path, workers: int) -> None:
    """ASVS 16.2.4, 16.3.2: those of uvicorn included; a refusal is found by the id of its request."""
    home = scratch / f"logs-{workers}"
    home.mkdir(mode=0o711)
    with Serving(home, f"--workers={workers}", IDP_RSA_BITS="2048") as serving:
        request = urllib.request.Request(
            f"http://localhost:{serving.port}/oauth/token",
            data=b"grant_type=x&client_id=ghost&client_secret=y",
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        refused.value.close()
        serving.process.terminate()
        serving.process.wait(40)
        lines = [json.loads(line) for line in serving.said().splitlines()]
    assert {"uvicorn.error", "idp.web.errors"} <= {line["logger"] for line in lines}
    [entry] = [line for line in lines if line["logger"] == "idp.web.errors"]
    assert entry["request"] == refused.value.headers["x-request-id"]
    assert "ghost" in entry["event"]
