"""What the application must know: its provider, and itself there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Config:
    """The provider's issuer URL, the credentials of this client there, and the port to listen on.

    ``database_url`` is the provider's own database and ``keys_dir`` where its master key lies (unless it is given as
    ``master_key``), for the inbox of a developer; no application in earnest has any of them.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    port: int = 8001
    database_url: str = field(default="", repr=False)
    keys_dir: Path = Path()
    master_key: str | None = field(default=None, repr=False)

    @property
    def home(self) -> str:
        """The address of the first page; registered as a post-logout redirect URI."""
        return f"http://localhost:{self.port}/"

    @property
    def redirect_uri(self) -> str:
        """The address to which the provider sends its answers; registered as a redirect URI."""
        return f"{self.home}callback"


def from_environment(environ: Mapping[str, str]) -> Config:
    """The configuration in DEMO_*; raises LookupError naming what is missing, ValueError for a port that is none."""
    names = ("DEMO_ISSUER", "DEMO_CLIENT_ID", "DEMO_CLIENT_SECRET")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise LookupError(f"set {', '.join(missing)}")
    issuer, client_id, client_secret = (environ[name] for name in names)
    port, database_url = int(environ.get("DEMO_PORT") or "8001"), environ.get("DEMO_DATABASE_URL", "")
    keys_dir, master_key = Path(environ.get("DEMO_KEYS_DIR", "")), environ.get("DEMO_MASTER_KEY")
    return Config(issuer, client_id, client_secret, port, database_url, keys_dir, master_key)
