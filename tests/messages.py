"""The catalogues of messages: what the code says, found in it, and what each language has for that.

``make messages`` brings idp/locales up to date: new messages come in without words, what nothing says any more goes.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from idp.web.language import CATALOGUES, ENGLISH, LANGUAGES

TOP = Path(__file__).parents[1]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "say": None, "say_many": (1, 2)}
OPTIONS = {"**.html": {"trimmed": "true"}, "**.txt": {"trimmed": "true"}}
METHODS = [("idp/web/static/**", "ignore"), ("idp/**.py", "python")]
METHODS += [("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
HEADER = """\
msgid ""
msgstr ""
"Language: {tag}\\n"
"Plural-Forms: {plural}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
TRANSLATED = tuple(language for language in LANGUAGES if language != ENGLISH)


def said() -> Catalog:
    """All messages of the code and the templates, in the order in which they stand there."""
    catalog = Catalog(project="idp", charset="utf-8")
    for directory in ("idp", "templates"):
        methods = [
            (pattern.removeprefix(f"{directory}/"), how) for pattern, how in METHODS if pattern.startswith(directory)
        ]
        found = extract_from_dir(TOP / directory, methods, OPTIONS, KEYWORDS, comment_tags=("Translators:",))
        for _, _, message, comments, _ in sorted(found, key=lambda one: (one[0], one[1])):
            catalog.add(message, auto_comments=comments)
    return catalog


def catalogue(tag: str) -> Catalog:
    """What there is in this language."""
    language = next(one for one in TRANSLATED if one.tag == tag)
    path = CATALOGUES / f"{tag}.po"
    if not path.exists():
        return Catalog(locale=language.locale, project="idp", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language.locale)


def update(tag: str) -> int:
    """Bring one catalogue up to date; returns how many messages have no words yet."""
    known = catalogue(tag)
    fresh = Catalog(locale=known.locale, charset="utf-8")
    for message in said():
        if message.id:
            former = known.get(message.id)
            fresh.add(message.id, former.string if former else "", auto_comments=message.auto_comments)
    with (CATALOGUES / f"{tag}.po").open("wb") as file:
        file.write(HEADER.format(tag=tag, plural=fresh.plural_forms).encode())
        write_po(file, fresh, width=0, no_location=True, omit_header=True)
    return sum(not has_words(message) for message in fresh if message.id)


def has_words(message: Message) -> bool:
    """Whether each form of the message has words."""
    return all(message.string) if isinstance(message.string, tuple | list) else bool(message.string)


if __name__ == "__main__":
    for language in TRANSLATED:
        missing = update(language.tag)
        sys.stderr.write(f"{language.tag}: {missing or 'none'} missing\n")
