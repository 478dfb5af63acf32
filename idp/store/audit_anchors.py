"""Where the chains of the audit trail begin since their oldest rows have expired."""

from idp.base.seal import MasterKey
from idp.model.audit_chain import Anchor, anchor_mac
from idp.store.database import Connection


async def move_anchor(conn: Connection, master: MasterKey, chain: int, place: int, digest: bytes) -> None:
    """Let the chain begin behind that place; an anchor never moves back."""
    await conn.execute(
        """
        INSERT INTO audit_anchors (chain, place, digest, mac) VALUES ($1, $2, $3, $4)
        ON CONFLICT (chain) DO UPDATE SET place = excluded.place, digest = excluded.digest, mac = excluded.mac
        WHERE audit_anchors.place < excluded.place
        """,
        chain,
        place,
        digest,
        anchor_mac(master, chain, place, digest),
    )


async def list_anchors(conn: Connection) -> tuple[Anchor, ...]:
    """Every anchor: one for each chain of which rows have expired."""
    rows = await conn.fetch("""SELECT chain, place, digest, mac FROM audit_anchors ORDER BY chain""")
    return tuple(Anchor(row["chain"], row["place"], row["digest"], row["mac"]) for row in rows)
