"""Run the application: DEMO_ISSUER, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET and, if not 8001, DEMO_PORT."""

import os
import sys

import uvicorn

from idp.cli.demo.config import from_environment
from idp.cli.demo.site import build


def main() -> int:
    """Serve until interrupted; 2 if the environment lacks something."""
    try:
        config = from_environment(os.environ)
    except (LookupError, ValueError) as fault:
        print(f"demo: {fault}", file=sys.stderr)
        return 2
    uvicorn.run(build(config), host="127.0.0.1", port=config.port, log_level="warning", server_header=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
