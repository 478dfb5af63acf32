"""Look-alikes by the examples of Unicode Technical Standard #39, and whole names of many scripts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.base.confusable import caseless_skeleton, is_of_one_writing, skeleton

ALIKE = (
    ("paypal", "pаypal"),
    ("scope", "ѕсоре"),
    ("circle", "сігсІе"),
    ("mary", "rnary"),
    ("paypal", "paypaI"),
    ("paypal", "paypa1"),
    ("bob", "ЬоЬ"),
    ("ian", "ıan"),
    ("nord", "ոord"),
    ("日本力", "日本カ"),
    ("éclair", "e\u0301clair"),
)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_a_78_skeletons_of_look_alikes_are_equal(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)
    assert caseless_skeleton(one) == caseless_skeleton(other)


CASELESS = (
    ("bob", "B0B"),
    ("bob", "ВОВ"),
    ("alice", "alİce"),
    ("alice", "ali\u0307ce"),
    ("alice", "alı\u0307ce"),
    ("alice", "alI\u0307ce"),
    ("jane", "j\u0307ane"),
    ("jane", "ȷ\u0307ane"),
)


@pytest.mark.parametrize(("one", "other"), CASELESS)
def test_a_78_so_are_those_that_capitals_or_dots_tell_apart(one: str, other: str) -> None:
    """Case makes no difference in names, and a second dot none that is seen (UTS 39 §5.4)."""
    assert one != other
    assert caseless_skeleton(one) == caseless_skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("alice", "alide"), ("anna", "anne"), ("user1", "user2"), ("müller", "muller"), ("李小龙", "李小龍"), ("и", "й")],
)
def test_other_texts_have_other_skeletons(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)
    assert caseless_skeleton(one) != caseless_skeleton(other)


@given(st.text(max_size=40))
def test_a_skeleton_is_its_own(text: str) -> None:
    """Prototypes are never replaced, so a skeleton stands for itself; composed and decomposed texts are one."""
    found = skeleton(text)
    assert skeleton(found) == found
    assert skeleton(unicodedata.normalize("NFC", text)) == skeleton(unicodedata.normalize("NFD", text))


WHOLE = (
    "alice",
    "jürgen",
    "żółć",
    "007",
    "иван",
    "αλέξης",
    "אברהם",
    "محمد",
    "محمد١٢",
    "हिन्दी",
    "मोहन१२",
    "தமிழ்",
    "ไทย",
    "ქართული",
    "հայ",
    "አማርኛ",
    "ᏣᎳᎩ",
    "မြန်မာ",
    "李小龙",
    "ひらがなカタカナ漢字ー",
    "alice日本のカ",
    "한글漢字",
    "ㄅㄆ中文",
    "bob-李",
)


@pytest.mark.parametrize("text", WHOLE)
def test_a_78_whole_scripts_and_those_that_belong_together(text: str) -> None:
    assert is_of_one_writing(text)


MIXED = ("pаypal", "Ωmega", "aliсe", "ꭺlice", "αлекс", "aliceא", "한글ひら", "ㄅひ", "иван李", "12१२", "alice१")


@pytest.mark.parametrize("text", MIXED)
def test_a_78_scripts_that_no_writing_mixes(text: str) -> None:
    assert not is_of_one_writing(text)
