"""Passwords are typed unseen, and pasted and filled in by managers as they like."""

import re
from collections.abc import Iterator

import pytest
from playwright.async_api import Page

from tests.browser import serving
from tests.gallery import gallery, pages


def drawn() -> dict[str, str]:
    """All pages with a field for a password, by name."""
    every = {name: pages().render(page) for name, page in gallery().items()}
    return {name: text for name, text in every.items() if 'name="password"' in text}


def test_6_2_6_and_6_2_7_the_fields_are_what_managers_know() -> None:
    """Hidden, with the token that says which password it is, and nothing that stands in the way."""
    found = drawn()
    assert len(found) >= 3
    for name, text in found.items():
        fields = re.findall(r"<input[^>]*\bname=\"(?:current_)?password\"[^>]*>", text)
        assert fields, name
        for field in fields:
            assert 'type="password"' in field, name
            assert re.search(r'autocomplete="(current|new)-password"', field), name
            assert not re.search(r"\bon\w+=|readonly|maxlength|pattern", field), name
        assert 'autocomplete="username' in text, name


@pytest.fixture
def site() -> Iterator[str]:
    with serving({f"/{name}": text for name, text in drawn().items()}) as url:
        yield url


@pytest.mark.browser
async def test_6_2_7_what_is_pasted_arrives_whole(page: Page, site: str) -> None:
    """With the spaces at its ends, by the keyboard, in every page with a password."""
    password = " correct horse, battery staple €  "
    for name in drawn():
        await page.goto(f"{site}/{name}")
        await page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'manager'}))")
        await page.fill("#manager", password)
        await page.press("#manager", "ControlOrMeta+A")
        await page.press("#manager", "ControlOrMeta+C")
        field = page.locator('input[type="password"][name="password"]').first
        await field.focus()
        await field.press("ControlOrMeta+A")
        await field.press("ControlOrMeta+V")
        assert await field.input_value() == password, name
        assert await field.get_attribute("type") == "password"
