"""What an operator's own templates must not lose: what tests, scripts, password managers and people rely on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError

from idp.web.pages import PAGES, Page, Pages
from idp.web.pages.parts import Slip

_FIELDS = {"input", "button", "select", "textarea"}


@dataclass(frozen=True, slots=True)
class OverrideFault:
    """A template's name and what is wrong with it, a sentence."""

    template: str
    fault: str


def override_faults(ours: Path, theirs: Path) -> tuple[OverrideFault, ...]:
    """What is wrong with the templates in ``theirs``, compared with those of the same name in ``ours``."""
    return (*_file_faults(ours, theirs), *_page_faults(Pages("Identity", ours), _with(ours, theirs)))


def _with(ours: Path, theirs: Path) -> Pages:
    return Pages("Identity", ours, overrides=theirs)


def _file_faults(ours: Path, theirs: Path) -> Iterator[OverrideFault]:
    environment = Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    for path in sorted(theirs.rglob("*")):
        name = path.relative_to(theirs).as_posix()
        if not path.is_file():
            continue
        if not (ours / name).is_file():
            yield OverrideFault(name, "There is no template of this name, so that nothing uses it.")
        try:
            environment.parse(path.read_text("utf-8"))
        except TemplateSyntaxError as error:
            yield OverrideFault(name, f"Line {error.lineno}: {error.message}")
        except (OSError, UnicodeDecodeError):
            yield OverrideFault(name, "It cannot be read as UTF-8 text.")


def _page_faults(before: Pages, after: Pages) -> Iterator[OverrideFault]:
    for kind in PAGES:
        page = kind.sample()
        original = before.render(page)
        try:
            drawn = after.render(page)
        except Exception as error:  # whatever an operator's template does: it is told, not met
            yield OverrideFault(page.template, f"It cannot be drawn: {type(error).__name__}: {error}")
            continue
        if drawn == original:
            continue
        facts = _facts(page, drawn)
        for lost in _facts(page, original):
            if lost not in facts:
                yield OverrideFault(page.template, f"It has dropped {lost}.")


def _facts(page: Page, html: str) -> list[str]:
    """What is relied on in this page, in the order of the page."""
    hooks = _Hooks()
    hooks.feed(html)
    hooks.close()
    slip = getattr(page, "slip", None)
    client = slip.client if isinstance(slip, Slip) else None
    said = () if client is None else (("the app's name", client.name), ("the host to return to", client.return_host))
    text = "".join(hooks.text)
    return list(dict.fromkeys(hooks.found)) + [fact for fact, words in said if words in text]


@dataclass
class _Hooks(HTMLParser):
    """The ids, field names and methods in a page, and the text of its body."""

    found: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    _silent: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._silent += tag in ("title", "script", "style")
        if "id" in given:
            self.found.append(f"the id {given['id']!r}")
        if tag in _FIELDS and "name" in given:
            self.found.append(f"the field {given['name']!r}")
        if "data-method" in given:
            self.found.append(f"data-method {given['data-method']!r}")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("title", "script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text.append(data)
