"""The languages: which is spoken to whom, and that none lacks a word."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from idp.base.text import Day, Hour, Listing, Moment, Text, say, say_many
from idp.web.language import ENGLISH, LANGUAGES, LONGEST_TAG, Language, choose, find_language, preferred
from idp.web.pages import Page
from tests.gallery import gallery, pages
from tests.messages import TRANSLATED, catalogue, has_words, said

NOW = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
TAGS = [language.tag for language in TRANSLATED]
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
MARKUP = re.compile(r"</?\w+[^>]*>")


@pytest.mark.parametrize("tag", TAGS)
def test_no_string_is_missing(tag: str) -> None:
    there = catalogue(tag)
    wanted = [message for message in said() if message.id]
    missing = [message.id for message in wanted if (found := there.get(message.id)) is None or not has_words(found)]
    assert not missing, f"{len(missing)} without words in {tag}: make messages, then translate them"
    assert {message.id for message in there if message.id} == {message.id for message in wanted}, "make messages"


@pytest.mark.parametrize("tag", TAGS)
def test_a_translation_keeps_values_and_markup(tag: str) -> None:
    for message in catalogue(tag):
        if not message.id:
            continue
        originals = message.id if isinstance(message.id, tuple | list) else (message.id,)
        strings = message.string if isinstance(message.string, tuple | list) else (message.string or "",)
        for string in filter(None, strings):
            # One thing may be said without its number: "one device".
            named = set(PLACEHOLDER.findall(string)) | {"count"}
            assert any(named == set(PLACEHOLDER.findall(original)) | {"count"} for original in originals), message.id
            assert sorted(MARKUP.findall(string)) == sorted(MARKUP.findall(originals[-1])), message.id
            assert "%" not in PLACEHOLDER.sub("", string).replace("%%", ""), message.id


class _Marked(Language):
    """A language that marks what it was given to say."""

    __slots__ = ()

    def gettext(self, message: str, /, **values: object) -> str:
        return f"⟦{super().gettext(message, **values)}⟧"

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> str:
        return f"⟦{super().ngettext(one, many, count, **values)}⟧"

    def put(self, value: object) -> object:
        put = super().put(value)
        return f"⟦{put}⟧" if isinstance(value, Day | Hour | Moment | Listing) else put


MARKED = _Marked("en", "Marked", "en_GB")
SHOWN = {"aria-label", "alt", "title", "placeholder", "data-waiting", "data-copied", "content"}


class _Words(HTMLParser):
    """All that a page says, its attributes that people meet included."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.said += [value or "" for name, value in attrs if name in SHOWN]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


# What people and apps have typed, what machines made, and the names of things.
DATA = re.compile(
    r"Example (?:ID|Bank|Notes)|alice(?:-work)?(?:@(?:mail|new)\.example)?|Alice(?: Example)?|(?:bank|notes)\.example"
    r"|English|العربية|Deutsch|Español|Français|日本語|Português|中文|example-bank|7f3k-92qd-x8mw|2001:db8::7"
    r"|[A-Z2-7]{4}|m[a-j]ep-xbc5-udnv-b7tg|redirect_uri_mismatch|\b[AE]\b|Phone|Laptop|Blue key|redirect_uri"
    r"|fr-FR|Europe/Paris"
    r"|(?:Firefox|Safari|Chrome|Linux|iPhone)"
)


def unmarked(page: Page) -> list[str]:
    """What a page says without having put it into a language."""
    words = "".join(_Words(pages().render(page, MARKED)).said)
    while "⟦" in words:
        words, before = re.sub(r"⟦[^⟦⟧]*⟧", "", words), words
        assert words != before, "a mark is not closed"
    return [line.strip() for line in DATA.sub("", words).splitlines() if re.search(r"[^\W\d_]", line)]


@pytest.mark.parametrize("page", gallery().values(), ids=list(gallery()))
def test_every_word_of_a_page_is_in_a_language(page: Page) -> None:
    assert unmarked(page) == []


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.tag)
def test_every_page_draws_in_every_language(language: Language) -> None:
    for page in gallery().values():
        html = pages().render(page, language)
        assert f'<html lang="{language.tag}" dir="{"rtl" if language.tag == "ar" else "ltr"}">' in html


@pytest.mark.parametrize(
    ("wishes", "tag"),
    [
        (("de",), "de"),
        (("DE-at",), "de"),
        (("tlh", "pt-BR"), "pt"),
        (("zh-Hant-TW",), "zh"),
        (("", "d", "den"), "en"),
        ((), "en"),
    ],
)
def test_the_first_wish_that_can_be_met_is_met(wishes: tuple[str, ...], tag: str) -> None:
    assert choose(*wishes).tag == tag


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", ("fr-CH", "fr", "en", "de")),
        ("en;q=0.1, ja", ("ja", "en")),
        ("de;q=0, es", ("es",)),
        ("de;q=2, es;q=x, fr;q=, ja;q=١", ()),
        ("", ()),
        ("," * 5000, ()),
    ],
)
def test_a_browser_says_what_its_user_reads(header: str, tags: tuple[str, ...]) -> None:
    """RFC 9110 §12.5.4."""
    assert preferred(header) == tags


def test_english_has_words_for_everything() -> None:
    facts = say("%(who)s since %(day)s", who="alice", day=Day(NOW, year=False))
    assert ENGLISH.words(facts).startswith("alice since ")
    assert ENGLISH.words(say_many("one device", "%(count)s devices", 1)) == "one device"
    assert ENGLISH.words(say_many("one device", "%(count)s devices", 3)) == "3 devices"
    assert ENGLISH.words(Listing(("a", say("b"), "c"))) == "a, b and c"


def test_a_phrase_has_no_words_before_a_language_is_chosen() -> None:
    with pytest.raises(TypeError):
        str(say("a"))
    with pytest.raises(TypeError):
        f"{Text('a')}"
    with pytest.raises(TypeError):
        f"{Moment(NOW)}"


def test_a_tag_has_an_end() -> None:
    """RFC 5646 §4.4.1; what is longer is not looked at, however many parts it has."""
    longest = "de-" + "a" * (LONGEST_TAG - 3)
    assert find_language(longest) == choose("de")
    assert find_language(longest + "a") is None
    assert find_language("de" + "-" * 16_000) is None
    assert choose("de" + "-a" * 8000, "fr").tag == "fr"
