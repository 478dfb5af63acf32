"""What the journeys set out from."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_serve import ROOT, eventually
from tests.ports import free_port


@pytest.fixture
def site(scratch: Path) -> Iterator[tuple[str, str]]:
    """A whole installation for development: the addresses of the provider and of the demo application."""
    port, demo_port = free_port(), free_port()
    home = scratch / f"site-{port}"
    home.mkdir(mode=0o711)
    environ = {
        **os.environ,
        "IDP_DATA_DIR": str(home / "data"),
        "IDP_KEYS_DIR": str(home / "keys"),
        "IDP_RSA_BITS": "2048",
    }
    command = [sys.executable, "-m", "idp", "dev", f"--port={port}", f"--demo-port={demo_port}"]
    log = home / "log"
    with log.open("wb") as opened:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=opened, stderr=opened)
    try:
        eventually(lambda: f"Open http://localhost:{demo_port} " in log.read_text(), "it starts", within=60)
        yield f"http://localhost:{port}", f"http://localhost:{demo_port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
