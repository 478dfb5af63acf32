"""The languages of the pages and messages, and which of them somebody reads."""

from dataclasses import dataclass
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from idp.base.text import Day, Hour, Listing, Moment, Phrase, Text

LONGEST_TAG = 35
"""RFC 5646 §4.4.1: no tag that names a language is longer."""
LONGEST_WISH = 1000
MOST_WISHES = 20


@dataclass(frozen=True, slots=True)
class Language:
    """A language that all pages and messages speak; ``tag`` is its BCP 47 name and ``name`` what its readers call it.

    ``locale`` is the CLDR's name for how it writes days, times and lists.
    """

    tag: str
    name: str
    locale: str

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return Locale.parse(self.locale).text_direction

    def gettext(self, message: str, /, **values: object) -> str:
        """The message in this language, its ``%(names)s`` filled."""
        return _catalogue(self.tag).gettext(message) % self._spoken(values)

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> str:
        """The message as it is said of so many."""
        return _catalogue(self.tag).ngettext(one, many, count) % {"count": count, **self._spoken(values)}

    def put(self, value: object) -> object:
        """What has words in this language, put into them; anything else as it is."""
        match value:
            case Text(message, values, None, _):
                return self.gettext(message, **values)
            case Text(one, values, str(many), count):
                return self.ngettext(one, many, count, **values)
            case Day(at, True):
                return format_date(at, "long", self.locale)
            case Day(at, _):
                return format_skeleton("MMMMd", at, locale=self.locale)
            case Hour(at):
                return format_time(at, "HH:mm", locale=self.locale)
            case Moment(at, year):
                return self.gettext("%(day)s, %(time)s UTC", day=Day(at, year), time=Hour(at))
            case Listing(items):
                return format_list([str(self.put(one)) for one in items], locale=self.locale)
        return value

    def words(self, phrase: Phrase) -> str:
        """What this phrase is in this language."""
        return str(self.put(phrase))

    def _spoken(self, values: dict[str, object]) -> dict[str, object]:
        return {name: self.put(value) for name, value in values.items()}


ENGLISH = Language("en", "English", "en_GB")
LANGUAGES: tuple[Language, ...] = (
    ENGLISH,
    Language("ar", "العربية", "ar"),
    Language("de", "Deutsch", "de"),
    Language("es", "Español", "es"),
    Language("fr", "Français", "fr"),
    Language("ja", "日本語", "ja"),
    Language("pt", "Português", "pt"),
    Language("zh", "中文", "zh_Hans"),
)
"""All languages, English first: what is written in the code, and what is spoken where nothing else is wished for."""

_BY_TAG = {language.tag: language for language in LANGUAGES}

CATALOGUES = Path(__file__).parents[1] / "locales"


@cache
def _catalogue(tag: str) -> NullTranslations:
    """The translations into this language, read once: English is what the messages are."""
    if tag == ENGLISH.tag:
        return NullTranslations()
    with (CATALOGUES / f"{tag}.po").open("rb") as file:
        catalogue = read_po(file, locale=_BY_TAG[tag].locale)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def find_language(tag: str) -> Language | None:
    """The language of this tag, or of the tag's first part: ``de-AT`` is read by who reads ``de`` (RFC 4647 §3.4).

    What is longer than a tag can be is none.
    """
    wanted = tag.lower() if len(tag) <= LONGEST_TAG else ""
    while wanted:
        if wanted in _BY_TAG:
            return _BY_TAG[wanted]
        wanted = wanted.rpartition("-")[0]
    return None


def choose(*wishes: str) -> Language:
    """The first language of ours that somebody wishes for, given tags from the most wanted to the least."""
    return next((found for tag in wishes if (found := find_language(tag)) is not None), ENGLISH)


def preferred(accept_language: str) -> tuple[str, ...]:
    """The tags of an ``Accept-Language``, the most wanted first; what is not wanted or not readable is left out.

    RFC 9110 §12.5.4.
    """
    wishes = []
    for wish in accept_language[:LONGEST_WISH].split(",")[:MOST_WISHES]:
        tag, _, weight = (part.strip() for part in wish.partition(";"))
        value = weight.removeprefix("q=") if weight else "1"
        known = tag and tag != "*" and value.replace(".", "", 1).isdecimal() and value.isascii()
        if known and 0 < float(value) <= 1:
            wishes.append((-float(value), tag))
    return tuple(tag for _, tag in sorted(wishes, key=lambda wish: wish[0]))
