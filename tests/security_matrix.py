"""Writes docs/security-matrix.md: what must hold, by id, and the tests that prove it (`make security-matrix`).

The rows are those of docs/security-cases.toml. The tests are found by reading their source: an id counts where it is
in a test's name (`test_A_12_and_A_15_…`, `test_A_01_to_A_04_…`, `test_6_2_8_…`), in its docstring ("A-12", "G2", "F10",
"ASVS 10.4.2, 10.4.5") or in the id of one of its parameters.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = "docs/security-cases.toml"
DOCUMENT = "docs/security-matrix.md"

_IN_NAME = re.compile(r"(?:^test|_and|_(?P<to>to))_(?P<id>[aA]_\d\d|[gGfF]\d{1,2}|\d{1,2}_\d{1,2}_\d{1,2})(?=_|$)")
_ASVS = r"\d{1,2}\.\d{1,2}\.\d{1,2}"
_IN_TEXT = re.compile(r"\b(?P<id>A-\d\d|[GF]\d{1,2})\b(?:(?: to |\.\.|–)(?P<last>A-\d\d|[GF]\d{1,2})\b)?")
_ASVS_LIST = re.compile(rf"\bASVS(?: 5\.0)?(?: L[123])?:? ((?:{_ASVS}(?:, | and | / |/| to |\.\.|-|–)?)+)")
_ASVS_RANGE = re.compile(rf"({_ASVS})(?:(?: to |\.\.|-|–)({_ASVS}))?")


@dataclass(frozen=True, slots=True)
class Case:
    """One row: what must hold, by which other rows it is proved, and why it has no test where it has none."""

    id: str
    holds: str
    level: int | None = None
    by: tuple[str, ...] = ()
    without: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one kind; with ``named_only`` those that no test names are not shown."""

    title: str
    cases: tuple[Case, ...]
    named_only: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """A test, by its file and its name, and one id that it names."""

    id: str
    path: str
    test: str


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the document, or with ``--check`` say whether it is as it should be; open rows are told on stderr."""
    sections, proofs = read_cases((root / CASES).read_text("utf-8")), tuple(find_proofs(root / "tests"))
    text, written = document(sections, proofs), root / DOCUMENT
    faults = [
        f"{one.path}: {one.test} names {one.id}, which {CASES} does not have" for one in unknown(sections, proofs)
    ]
    if "--check" not in arguments:
        written.write_text(text, "utf-8")
    elif not written.exists() or written.read_text("utf-8") != text:
        faults.append(f"{DOCUMENT} is old: make security-matrix")
    rows = open_rows(sections, proofs)
    sys.stderr.write(f"open: {' '.join(rows) or 'none'}\n" + "".join(f"{fault}\n" for fault in faults))
    return 1 if faults else 0


def read_cases(text: str) -> tuple[Section, ...]:
    """The sections of the list of cases; raises ValueError where its ids are not in order."""
    sections = tuple(_section(table) for table in tomllib.loads(text)["section"])
    ids = [case.id for section in sections for case in section.cases]
    if len(ids) != len(set(ids)):
        raise ValueError("an id comes twice")
    if strange := {one for section in sections for case in section.cases for one in case.by} - set(ids):
        raise ValueError(f"rows refer to what is not there: {', '.join(sorted(strange))}")
    return sections


def _section(table: dict[str, object]) -> Section:
    rows = table["rows"]
    assert isinstance(rows, dict)
    cases = tuple(Case(id=name, **{**members, "by": tuple(members.get("by", ()))}) for name, members in rows.items())
    return Section(str(table["title"]), cases, bool(table.get("named_only")))


def find_proofs(directory: Path) -> Iterator[Proof]:
    """Every test below the directory with every id that it names, in a lasting order."""
    for path in sorted(directory.rglob("test_*.py")):
        shown = path.relative_to(directory.parent).as_posix()
        for test in _tests(ast.parse(path.read_text("utf-8"))):
            yield from (Proof(one, shown, test.name) for one in sorted(named(test)))


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def named(test: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The ids that a test names, in their common form."""
    text = " ".join((ast.get_docstring(test) or "", *_parameter_ids(test)))
    return {*ids_in_name(test.name), *ids_in_text(text), *re.findall(rf"(?<!\S){_ASVS}(?!\S)", text)}


def _parameter_ids(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in test.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.keyword) and node.arg in {"id", "ids"}:
                found = ast.walk(node.value)
                yield from (one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str))


def ids_in_name(name: str) -> set[str]:
    """The ids that a test's name begins with: one, several joined by `and`, or a span joined by `to`."""
    found: list[str] = []
    place = 0
    while matched := _IN_NAME.match(name, place):
        one = _common(matched["id"])
        found += _span(found[-1], one) if matched["to"] and found else [one]
        place = matched.end()
    return set(found)


def ids_in_text(text: str) -> set[str]:
    """The ids in running text; those of the ASVS count after its name only."""
    found: set[str] = set()
    for matched in _IN_TEXT.finditer(text):
        found.update(_span(matched["id"], matched["last"] or matched["id"]))
    for listed in _ASVS_LIST.finditer(text):
        for first, last in _ASVS_RANGE.findall(listed[1]):
            found.update(_span(first, last or first))
    return found


def _common(written: str) -> str:
    letter, rest = written[0].upper(), written[1:].lstrip("_")
    return f"A-{rest}" if letter == "A" else f"{letter}{rest}" if letter in "GF" else written.replace("_", ".")


def _span(first: str, last: str) -> list[str]:
    """All ids from the first to the last, which differ in their last number alone."""
    stem, start = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]
    end = int(re.fullmatch(r".*?(\d+)", last)[1])  # type: ignore[index]
    width = 2 if stem == "A-" else 1
    return [f"{stem}{number:0{width}}" for number in range(int(start), max(end, int(start)) + 1)]


def unknown(sections: Iterable[Section], proofs: Iterable[Proof]) -> list[Proof]:
    """The tests that name an id which no section has."""
    known = {case.id for section in sections for case in section.cases}
    return [proof for proof in proofs if proof.id not in known]


def open_rows(sections: Iterable[Section], proofs: Iterable[Proof]) -> list[str]:
    """The ids of the rows that have neither a test nor a reason."""
    proved = {proof.id for proof in proofs}
    shown = (case for section in sections for case in _shown(section, proved))
    return [case.id for case in shown if not _is_settled(case, proved)]


def _is_settled(case: Case, proved: set[str]) -> bool:
    return case.id in proved or bool(case.without) or (bool(case.by) and proved.issuperset(case.by))


def document(sections: Iterable[Section], proofs: Iterable[Proof]) -> str:
    """The text of docs/security-matrix.md."""
    tests = {one: tuple(of_id) for one, of_id in groupby(sorted(proofs), key=lambda proof: proof.id)}
    tables = "".join(_table(section, tests) for section in sections)
    return f"""# Security matrix

What must hold, and the tests that prove it. `open` is what has neither a test nor a reason. The model behind it is in
[security.md](security.md).

This page is generated from `docs/security-cases.toml` and the tests by `make security-matrix`.
{tables}"""


def _table(section: Section, tests: dict[str, tuple[Proof, ...]]) -> str:
    cases = _shown(section, set(tests))
    if not cases:
        return ""
    rows = "\n".join(_row(case, tests.get(case.id, ()), _is_settled(case, set(tests))) for case in cases)
    return f"\n## {section.title}\n\n| id | what must hold | proved by |\n|---|---|---|\n{rows}\n"


def _shown(section: Section, proved: set[str]) -> tuple[Case, ...]:
    """The rows to show: where being named is asked for, and at level 3, those alone that a test names."""
    return tuple(case for case in section.cases
                 if case.id in proved or not (section.named_only or case.level == 3))  # fmt: skip


def _row(case: Case, proofs: tuple[Proof, ...], settled: bool) -> str:
    level = f" (L{case.level})" if case.level else ""
    files = [
        f"[{path.removeprefix('tests/')}](../{path}): " + ", ".join(f"`{one.test.removeprefix('test_')}`" for one in of)
        for path, of in groupby(proofs, key=lambda proof: proof.path)
    ]
    by = [f"as {', '.join(case.by)}"] if case.by else []
    without = [f"*{case.without}*"] if case.without else []
    proved = "<br>".join((*files, *by, *without, *([] if settled else ["**open**"])))
    return f"| {case.id}{level} | {case.holds} | {proved} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
