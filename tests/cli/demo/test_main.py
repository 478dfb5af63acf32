import ast
import os
import subprocess
import sys
from pathlib import Path

import idp.cli.demo

HERE = Path(idp.cli.demo.__file__).parent


def test_it_says_what_it_lacks_and_ends_with_2() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
    ended = subprocess.run(
        [sys.executable, "-m", "idp.cli.demo"], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "demo: set DEMO_ISSUER, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET\n"


def test_it_can_be_copied_out() -> None:
    """An example to copy from imports nothing of the provider that is not in its own directory.

    The developer's inbox is no part of the example: it reads what the provider has to send, which rests sealed.
    """
    imported = set()
    for file in set(HERE.glob("*.py")) - {HERE / "inbox.py"}:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if name.split(".")[0] == "idp"}
    assert ours
    assert all(name.startswith("idp.cli.demo") for name in ours)
