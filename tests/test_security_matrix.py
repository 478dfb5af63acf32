"""The matrix of what must hold and the tests that prove it."""

import ast
from pathlib import Path

import pytest

from tests.security_matrix import (
    CASES,
    DOCUMENT,
    ROOT,
    Case,
    Proof,
    Section,
    document,
    find_proofs,
    ids_in_name,
    ids_in_text,
    main,
    named,
    open_rows,
    read_cases,
    unknown,
)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_A_12_code_raced", {"A-12"}),
        ("test_a_48_an_unknown_user", {"A-48"}),
        ("test_A_12_and_A_15_codes_and_refresh_tokens", {"A-12", "A-15"}),
        ("test_A_01_to_A_04_redirect_uris", {"A-01", "A-02", "A-03", "A-04"}),
        ("test_A_01_and_A_03_to_A_04", {"A-01", "A-03", "A-04"}),
        ("test_G7_the_window", {"G7"}),
        ("test_g11_parameters", {"G11"}),
        ("test_F10_eight_processes", {"F10"}),
        ("test_6_2_8_compared_exactly", {"6.2.8"}),
        ("test_10_4_10_and_A_24_clients", {"10.4.10", "A-24"}),
        ("test_1_6_a_passkey_must_name_its_owner", set()),
        ("test_a_key_of_A_12_bytes", set()),
        ("test_F10x", set()),
    ],
)
def test_ids_in_names(name: str, ids: set[str]) -> None:
    assert ids_in_name(name) == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("A code once (A-12, A-15).", {"A-12", "A-15"}),
        ("A-08..A-10 and G2", {"A-08", "A-09", "A-10", "G2"}),
        ("From A-01 to A-03.", {"A-01", "A-02", "A-03"}),
        ("(ASVS 10.4.2)", {"10.4.2"}),
        ("ASVS 10.4.2, 10.4.5 and 10.4.8", {"10.4.2", "10.4.5", "10.4.8"}),
        ("ASVS 3.3.1-3.3.4: cookies", {"3.3.1", "3.3.2", "3.3.3", "3.3.4"}),
        ("ASVS 5.0 L2 11.2.3", {"11.2.3"}),
        ("version 10.4.2 of a library; a JSON of 12 bytes; RFC 6238 §4.2.1", set()),
        ("AA-12 BG2 A-123", set()),
    ],
)
def test_ids_in_text(text: str, ids: set[str]) -> None:
    assert ids_in_text(text) == ids


def test_ids_of_parameters() -> None:
    source = """
@pytest.mark.parametrize("x", [pytest.param(1, id="A-08"), pytest.param("A-09")], ids=["3.4.1", "other"])
async def test_something(x):
    '''Holds (G4).'''
"""
    test = ast.parse(source).body[0]
    assert isinstance(test, ast.AsyncFunctionDef)
    assert named(test) == {"A-08", "3.4.1", "G4"}


def test_tests_are_found_without_being_run(tmp_path: Path) -> None:
    tests = tmp_path / "tests" / "web"
    tests.mkdir(parents=True)
    (tests / "test_one.py").write_text(
        "raise SystemExit\nclass TestIt:\n    def test_A_12_x(self): ...\ndef helper_A_13(): ...\n"
    )
    (tests / "other.py").write_text("def test_A_14_x(): ...\n")
    assert list(find_proofs(tmp_path / "tests")) == [Proof("A-12", "tests/web/test_one.py", "test_A_12_x")]


SECTIONS = (
    Section(
        "Cases",
        (
            Case("A-01", "one"),
            Case("A-02", "two"),
            Case("A-03", "three", without="not built yet"),
            Case("3.1.1", "four", level=3),
            Case("G2", "five", by=("A-01", "A-02")),
            Case("G3", "six", by=("A-01",)),
        ),
    ),
    Section("Further", (Case("F1", "seven"),), named_only=True),
)
PROOF = Proof("A-01", "tests/test_x.py", "test_A_01_holds")


def test_open_is_what_has_neither_test_nor_reason() -> None:
    assert open_rows(SECTIONS, [PROOF]) == ["A-02", "G2"]
    assert open_rows(SECTIONS, [PROOF, Proof("A-02", "tests/test_x.py", "test_A_02_holds")]) == []


def test_the_document_shows_each_row_with_its_proof_its_reason_or_as_open() -> None:
    text = document(SECTIONS, [PROOF])
    assert "| A-01 | one | [test_x.py](../tests/test_x.py): `A_01_holds` |" in text
    assert "| A-02 | two | **open** |" in text
    assert "| A-03 | three | *not built yet* |" in text
    assert "| G2 | five | as A-01, A-02<br>**open** |" in text
    assert "| G3 | six | as A-01 |" in text
    assert "3.1.1" not in text, "a row of level 3 is shown once a test names it"
    assert "Further" not in text
    assert "| F1 | seven |" in document(SECTIONS, [Proof("F1", "tests/test_x.py", "test_F1_holds")])


def test_an_id_that_is_nowhere_is_told() -> None:
    strange = Proof("A-99", "tests/test_x.py", "test_A_99_holds")
    assert unknown(SECTIONS, [PROOF, strange]) == [strange]


def test_the_list_has_every_attack_case_and_every_figure_once() -> None:
    sections = read_cases((ROOT / CASES).read_text("utf-8"))
    ids = [case.id for section in sections for case in section.cases]
    assert {f"A-{number:02}" for number in range(1, 76)} <= set(ids)
    assert {f"G{number}" for number in range(1, 18)} <= set(ids)
    assert all(case.holds.endswith(".") and "|" not in case.holds for section in sections for case in section.cases)


@pytest.mark.parametrize("rows", ['A = { holds = "x" }\n[[section]]\ntitle = "t"\n[section.rows]\nA = { holds = "y" }',
                                  'A = { holds = "x", by = ["B"] }'])  # fmt: skip
def test_a_list_out_of_order_is_refused(rows: str) -> None:
    with pytest.raises(ValueError, match=r"twice|not there"):
        read_cases(f'[[section]]\ntitle = "s"\n[section.rows]\n{rows}')


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one case and one test that proves it, the document written."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / CASES).write_text('[[section]]\ntitle = "s"\n[section.rows]\nA-01 = { holds = "x." }\n')
    (tmp_path / "tests" / "test_x.py").write_text("def test_A_01_holds(): ...\n")
    assert main([], tmp_path) == 0
    return tmp_path


def test_the_check_passes_where_all_is_as_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], project) == 0
    assert capsys.readouterr().err.endswith("open: none\n")


def test_the_check_refuses_an_old_document(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / DOCUMENT).read_text()
    (project / "tests" / "test_x.py").write_text("def test_it_holds(): ...\n")
    assert main(["--check"], project) == 1
    assert (project / DOCUMENT).read_text() == before
    assert "open: A-01\ndocs/security-matrix.md is old" in capsys.readouterr().err


def test_the_check_refuses_a_test_that_names_what_is_nowhere(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests" / "test_y.py").write_text("def test_A_99_holds(): ...\n")
    main([], project)
    assert main(["--check"], project) == 1
    assert "tests/test_y.py: test_A_99_holds names A-99" in capsys.readouterr().err
