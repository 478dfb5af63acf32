"""`idp dev`: one command, and there is something to sign in to."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.cli.test_serve import ROOT, eventually, processes, read
from tests.ports import free_port


def test_it_says_what_to_open_and_ends_as_a_whole(scratch: Path) -> None:
    home = scratch / f"dev-{free_port()}"
    home.mkdir(mode=0o711)
    port, demo_port = free_port(), free_port()
    environ = {**os.environ, "IDP_DATA_DIR": str(home / "data"), "IDP_KEYS_DIR": str(home / "keys")}
    command = [sys.executable, "-m", "idp", "dev", f"--port={port}", f"--demo-port={demo_port}"]
    log = home / "log"
    with log.open("wb") as opened:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=opened, stderr=opened)
    try:
        eventually(lambda: f"Open http://localhost:{demo_port} " in log.read_text(), "it says what to open", within=60)
        for address in (f"http://127.0.0.1:{port}/health/live", f"http://127.0.0.1:{demo_port}/inbox"):
            with urllib.request.urlopen(address) as answer:
                assert answer.status == 200
        listed = subprocess.run(
            [*command[:3], "client", "list", "--json"], env=environ, capture_output=True, check=True
        )
        assert "Example Bank" in json.dumps(json.loads(listed.stdout)), "the demo application is a client"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not [pid for pid in processes() if str(home).encode() in read(pid, "environ") + read(pid, "cmdline")]
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_told_before_anything_starts(scratch: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {**os.environ, "IDP_DATA_DIR": str(scratch / "never")}
        command = [sys.executable, "-m", "idp", "dev", f"--port={port}"]
        refused = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=30)
    assert refused.returncode == 1
    assert f"port {port} is in use" in refused.stderr
    assert not (scratch / "never").exists()
