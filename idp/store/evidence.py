"""Evidence as sessions and interactions keep it: a JSON array."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from idp.model.assurance import Evidence


def to_json(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """The evidence as jsonb takes it."""
    return [
        {
            "method": each.method,
            "at": each.at.isoformat(),
            "credential_id": each.credential_id,
            "user_verified": each.user_verified,
            "device_bound": each.device_bound,
            "attested": each.attested,
        }
        for each in evidence
    ]


def from_json(rows: Iterable[Mapping[str, Any]]) -> tuple[Evidence, ...]:
    """The evidence that ``to_json`` wrote."""
    return tuple(Evidence(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in rows)
