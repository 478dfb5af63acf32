"""The limits on sending, by a table of values."""

from pathlib import Path

import pytest

from idp.authn.sending import (
    BREAKER_FROM,
    BREAKER_SHARE,
    CLAIMS_IN_ALL,
    CLAIMS_PER_PREFIX,
    CLAIMS_PER_RECIPIENT,
    IN_ALL,
    PER_ACCOUNT,
    PER_PREFIX,
    PER_RECIPIENT,
    held_back,
)
from idp.model.sent_code import Sendings
from idp.store.sent_codes import BREAKER_WINDOW, MOST_MISSES, RECIPIENT_WINDOW, WINDOW


@pytest.mark.parametrize(
    ("sendings", "limit"),
    [
        pytest.param(Sendings(0, 0, 0, 0, 0, 0), None, id="none"),
        pytest.param(Sendings(2, 9, 29, 999, 14, 0), None, id="just below each"),
        pytest.param(Sendings(3, 3, 3, 3, 0, 0), "recipient", id="G8: a fourth to one number"),
        pytest.param(Sendings(0, 10, 10, 10, 0, 0), "account", id="an eleventh for one account"),
        pytest.param(Sendings(0, 0, 30, 30, 30, 30), "prefix", id="a thirty-first to one prefix"),
        pytest.param(Sendings(0, 0, 0, 1000, 0, 0), "all", id="a thousand and first"),
        pytest.param(Sendings(0, 0, 0, 0, 15, 0), "unused", id="none of fifteen was used"),
        pytest.param(Sendings(0, 0, 0, 0, 15, 2), "unused", id="two of fifteen were used"),
        pytest.param(Sendings(0, 0, 0, 0, 15, 3), None, id="three of fifteen were used"),
    ],
)
def test_A_41_limits_on_sending(sendings: Sendings, limit: str | None) -> None:
    assert held_back(sendings) == limit


@pytest.mark.parametrize(
    ("sendings", "limit"),
    [
        pytest.param(Sendings(1, 9, 14, 499, 14, 0), None, id="just below each"),
        pytest.param(Sendings(2, 2, 2, 2, 0, 0), "recipient", id="a third to one number"),
        pytest.param(Sendings(0, 0, 15, 15, 15, 15), "prefix", id="a sixteenth to one prefix"),
        pytest.param(Sendings(0, 0, 0, 500, 0, 0), "all", id="a five hundred and first"),
    ],
)
def test_A_63_numbers_that_are_merely_claimed_leave_room(sendings: Sendings, limit: str | None) -> None:
    assert held_back(sendings, claimed=True) == limit
    assert held_back(sendings) is None


def test_6_6_3_and_6_1_1_the_limits_are_those_of_the_document() -> None:
    document = (Path(__file__).parents[2] / "docs" / "controls.md").read_text("utf-8")
    for figure in (
        f"one number or address | {PER_RECIPIENT} in {RECIPIENT_WINDOW.seconds // 60} minutes |",
        f"one account | {PER_ACCOUNT} in {WINDOW.seconds // 3600} hour |",
        f"four digits | {PER_PREFIX} in {WINDOW.seconds // 3600} hour |",
        f"in all | {IN_ALL:,} in {WINDOW.seconds // 3600} hour |",
        f"and all | {CLAIMS_PER_RECIPIENT}, {CLAIMS_PER_PREFIX} and {CLAIMS_IN_ALL} |",
        f"{BREAKER_SHARE - 1} in {BREAKER_SHARE} of the last {BREAKER_WINDOW.seconds // 3600} hours, "
        f"of {BREAKER_FROM} or",
        f"at one that was sent | {MOST_MISSES} |",
    ):
        assert f" {figure}" in document, figure
