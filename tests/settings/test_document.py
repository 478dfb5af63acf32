"""docs/settings.md says what the code does, in sections."""

import re
from pathlib import Path

from idp.settings import Settings
from idp.settings.document import settings_document


def test_the_document_is_what_the_code_says() -> None:
    document = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    assert document == settings_document(), "make docs"
    assert all(f"`IDP_{field.upper()}`" in document for field in Settings.model_fields)


def test_every_setting_stands_below_one_heading_that_the_contents_lead_to() -> None:
    contents, *sections = settings_document().split("\n## ")
    titles = [section.partition("\n")[0] for section in sections]
    assert re.findall(r"\[([^]]+)\]\(#([a-z-]+)\)", contents) == [
        (title, title.lower().replace(" ", "-")) for title in titles
    ]
    rows = [re.findall(r"^\| `(\w+)`", section, re.MULTILINE) for section in sections]
    # In the order of the class, so that what is read there together is found here together.
    assert [name for names in rows for name in names] == [f"IDP_{field.upper()}" for field in Settings.model_fields]


def test_the_document_names_the_files_of_secrets_and_only_those() -> None:
    assert re.findall(r"`(IDP_\w+)_FILE`", settings_document()) == [
        "IDP_DATABASE_URL",
        "IDP_MASTER_KEY",
        "IDP_MAIL_URL",
        "IDP_SMS_URL",
    ]
