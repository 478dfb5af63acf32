"""An operator's looks: the logo, the accent, the links at the foot, and templates of their own."""

import io
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from idp.base.picture import PictureError, as_png, read_picture
from idp.settings import SettingsError, load_settings
from idp.web.pages import Pages, SignInPage
from idp.web.pages.brand import Brand
from idp.web.pages.overrides import override_faults
from tests.driver import running
from tests.gallery import TEMPLATES, gallery

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><script>alert(1)</script></svg>'
NAME = "login/password.html"


def png(width: int = 4, height: int = 4) -> bytes:
    target = io.BytesIO()
    Image.new("1", (width, height)).save(target, "PNG")
    return target.getvalue()


async def test_logo_and_accent_come_from_our_own_origin_and_a_logo_can_do_nothing(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logo").write_bytes(SVG)
    caplog.set_level(logging.INFO)
    looks = {"IDP_LOGO": str(tmp_path / "logo"), "IDP_ACCENT": "#E8B44C", "IDP_HELP_URL": "https://help.example"}
    async with running(database, tmp_path, **looks) as rig, rig.browser().http as http:
        brand = rig.app.state.provider.pages.brand
        page = (await http.get("/signed-out")).text
        assert f'<link rel="stylesheet" href="{brand.css_url}">' in page
        assert page.index("style.css") < page.index("branding.css")
        assert f'src="{brand.logo_url}"' in page
        assert 'href="https://help.example"' in page
        assert "alert(1)" not in page
        css, logo = await http.get(brand.css_url), await http.get(brand.logo_url)
    assert css.headers["content-type"].startswith("text/css")
    assert "immutable" in css.headers["cache-control"]
    assert "--accent: light-dark(" in css.text
    assert (logo.content, logo.headers["content-type"]) == (SVG, "image/svg+xml")
    assert logo.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert logo.headers["x-content-type-options"] == "nosniff"
    assert "accent #e8b44c shown as" in caplog.text


async def test_without_looks_of_their_own_there_is_nothing_to_serve(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig, rig.browser().http as http:
        assert [(await http.get(path)).status_code for path in ("/branding.css", "/branding/logo")] == [404, 404]
        assert "branding" not in (await http.get("/signed-out")).text


def test_a_logo_that_has_the_name_says_it_once() -> None:
    picture = Brand(logo=read_picture(TEMPLATES.parent / "idp" / "web" / "static" / "mark.svg"))
    beside = Pages("Acme", TEMPLATES, brand=picture).render(SignInPage.sample())
    within = Pages("Acme", TEMPLATES, brand=replace(picture, logo_has_name=True)).render(SignInPage.sample())
    assert 'alt=""' in beside.partition("<main")[0]
    assert 'alt="Acme"' in within
    body = within.partition("<body")[2].partition("<main")[0]
    assert body.count("Acme") == 1


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a",
        b"<html></html>",
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        b"\x89PNG\r\n\x1a\nnothing",
        SVG + b" " * 20_000,
    ],
)
def test_a_logo_is_an_svg_or_a_png_of_20_kb_by_its_content(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(SettingsError, match="IDP_LOGO"):
        load_settings({"IDP_LOGO": str(tmp_path / "logo.png")})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("IDP_ACCENT", "red"),
        ("IDP_ACCENT", "#fff"),
        ("IDP_ACCENT", "#0a5c4c}"),
        ("IDP_HELP_URL", "javascript:alert(1)"),
        ("IDP_HELP_URL", "//evil.example"),
        ("IDP_PRIVACY_URL", "/\\evil.example"),
        ("IDP_PRIVACY_URL", "http://plain.example"),
        ("IDP_TEMPLATES", "/nowhere/at/all"),
    ],
)
def test_looks_that_cannot_be_used_stop_the_start(setting: str, value: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        load_settings({setting: value})


def test_a_picture_is_drawn_anew_and_small() -> None:
    with Image.open(io.BytesIO(as_png(png(400, 200), 88))) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (88, 44))


@pytest.mark.parametrize("content", [SVG, b"", b"nothing", png(4001, 1000)])
def test_what_is_no_picture_or_a_bomb_is_refused(content: bytes) -> None:
    with pytest.raises(PictureError):
        as_png(content, 88)


def test_a_template_of_ones_own_takes_the_place_of_ours_and_can_extend_it(tmp_path: Path) -> None:
    own(tmp_path, '{% extends "original/login/password.html" %}{% block body %}<p>Ahoy</p>{{ super() }}{% endblock %}')
    drawn = Pages("Acme", TEMPLATES, overrides=tmp_path).render(SignInPage.sample())
    assert "<p>Ahoy</p>" in drawn
    assert 'name="password"' in drawn
    assert override_faults(TEMPLATES, tmp_path) == ()


def test_the_check_names_what_a_template_has_dropped(tmp_path: Path) -> None:
    original = (TEMPLATES / NAME).read_text("utf-8")
    own(tmp_path, original.replace('name="credential"', 'name="proof"'))
    assert {fault.fault for fault in override_faults(TEMPLATES, tmp_path)} == {"It has dropped the field 'credential'."}
    own(tmp_path, '{% extends "document.html" %}{% block page %}<body></body>{% endblock %}')
    lost = " ".join(fault.fault for fault in override_faults(TEMPLATES, tmp_path) if fault.template == NAME)
    assert "the id 'username'" in lost
    assert "the app's name" in lost
    assert "the host to return to" in lost
    assert "data-method 'password'" in lost


def test_the_check_tells_of_errors_and_of_names_that_nothing_uses(tmp_path: Path) -> None:
    own(tmp_path, "{% if %}")
    (tmp_path / "pasword.html").write_text("")
    said = {fault.template: fault.fault for fault in override_faults(TEMPLATES, tmp_path)}
    assert said["pasword.html"] == "There is no template of this name, so that nothing uses it."
    assert "It cannot be drawn" in said[NAME]


def test_no_sample_needs_the_brand() -> None:
    for page in gallery().values():
        assert "brand-logo" not in Pages("Acme", TEMPLATES).render(page)


def own(directory: Path, template: str) -> None:
    (directory / "login").mkdir(exist_ok=True)
    (directory / NAME).write_text(template, "utf-8")
