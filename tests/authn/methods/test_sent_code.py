"""What codes that are sent have in common: how they are drawn, and what rests of them."""

from collections import Counter

from idp.authn.methods.sent_code import LIFE, digest_of, make_code, new_code
from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey
from idp.model.user import User
from tests.authn.people import NOW, tools


def test_6_5_3_and_6_5_4_no_code_is_likelier_than_another() -> None:
    """100,000 codes of the system's generator, of a million there are (19.9 bits: G8 wants six digits)."""
    codes = [new_code(system_entropy) for _ in range(100_000)]
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    # Of so many draws some 95,163 are different: ten standard deviations are 700.
    assert 94_400 <= len(set(codes)) <= 95_900
    for place in range(6):
        counts = Counter(code[place] for code in codes)
        assert len(counts) == 10
        # 10,000 of each: ten standard deviations are 950.
        assert all(9_050 <= count <= 10_950 for count in counts.values())


def test_a_number_beyond_the_last_whole_million_is_drawn_again() -> None:
    drawn = iter((b"\xff\xff\xff", (16_000_000).to_bytes(3), (15_000_007).to_bytes(3)))
    assert new_code(lambda _: next(drawn)) == "000007"


def test_A_75_what_rests_opens_neither_without_the_master_key_nor_for_another_flow() -> None:
    code, kept = make_code(
        tools(), "f1", "sms", User("s1", "alice", NOW, NOW), "+447700900123", NOW, prefix="+44770090"
    )
    assert kept.digest == digest_of(tools().master_key, "f1", code)
    assert kept.digest != digest_of(tools().master_key, "f2", code)
    assert kept.digest != digest_of(MasterKey(b"n" * 32), "f1", code)
    assert kept.expires_at == NOW + LIFE
    assert "900123" not in repr(kept)
