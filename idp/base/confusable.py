"""Which texts look alike (Unicode Technical Standard #39): their skeletons, and what mixes scripts.

The data are those of confusable-homoglyphs, of Unicode 15. It has the pairs of ``confusables.txt`` in both directions,
and the property Script. What departs from the standard for that: a pair that stands by itself may have its other member
as the prototype, which changes no comparison; a letter that several scripts share (Script_Extensions) belongs to the
one of its property Script, or to all where that is Common or Inherited. Text is compared in the order in which it is
stored (``skeleton``, not ``bidiSkeleton``).
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

# UTS 39 §5.2, "highly restrictive": the scripts that one writing needs, with Latin.
_WRITINGS = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
_SHARED = frozenset({"COMMON", "INHERITED"})

# The direction in which a pair of right-to-left letters is printed in the data; it belongs to neither of them.
_PRINTED = "\u200e"

_DOTTED = re.compile("[IiıJjȷ][\u0300-\u036f]*\u0307[\u0300-\u036f]*")
"""A letter with a dot above that has one anyway, or that looks like an i or j by it (UTS 39 §5.4)."""
_PLAIN = str.maketrans({"\u0307": None, "ı": "i", "ȷ": "j"})


def skeleton(text: str) -> str:
    """What stands for all texts that look like this one: texts are confusable if their skeletons are equal.

    For comparing alone, never for showing (UTS 39 §4).
    """
    prototypes = _prototypes()
    mapped = "".join(prototypes.get(char, char) for char in unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", mapped)


def caseless_skeleton(text: str) -> str:
    """The skeleton of a text in which capitals and small letters are the same, and so is an i with and without dots.

    ``paypaI`` looks like ``paypal`` as it stands, and ``B0B`` like ``bob`` to who knows that case makes no difference.
    """
    return skeleton(_undotted(skeleton(_undotted(text)).casefold()))


def is_of_one_writing(text: str) -> bool:
    """Whether the text is single-script, or mixes scripts as Japanese, Chinese and Korean do, Latin included.

    UTS 39 §5.2 ("highly restrictive") and §5.3: nor does it mix the digits of two systems.
    """
    from confusable_homoglyphs.categories import alias

    scripts = {alias(char) for char in text} - _SHARED
    zeros = {ord(char) - unicodedata.decimal(char) for char in text if char.isdecimal()}
    return len(zeros) <= 1 and (len(scripts) <= 1 or any(scripts <= writing for writing in _WRITINGS))


def _undotted(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return _DOTTED.sub(lambda found: found[0].translate(_PLAIN).lower(), decomposed)


@cache
def _prototypes() -> Mapping[str, str]:
    """What each character is replaced by.

    Each of the standard's pairs leads from a character to its prototype, which is never replaced itself. So of the two,
    the prototype is the one that several others lead to, or that is a text of several characters.
    """
    from confusable_homoglyphs.confusables import confusables_data

    alike: dict[str, set[str]] = defaultdict(set)
    for one, others in confusables_data.items():
        alike[one.strip(_PRINTED)].update(other["c"].strip(_PRINTED) for other in others)
    parts = {char for text in alike if len(text) > 1 for char in unicodedata.normalize("NFD", text)}

    def comes_first(one: str) -> tuple[bool, bool, bool, str]:
        return (len(one) == 1, len(alike[one]) == 1, one not in parts, one)

    replaced = {}
    for one, others in alike.items():
        if len(one) == len(others) == 1 and (other := min(others)) != one:
            prototype = min(one, other, key=comes_first)
            if prototype != one:
                replaced[one] = prototype
    return MappingProxyType(replaced)
