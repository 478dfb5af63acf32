"""The measuring tool measures rightly; the measuring itself is done by hand (`make timing`)."""

import math
import random
from itertools import combinations

import pytest

from tests.timing import BEGIN, END, Comparison, compare, judged, mann_whitney, table, take_turns, with_table


def test_a_published_example() -> None:
    # Ages at diagnosis of men and women, as in the manual of scipy.stats.mannwhitneyu: U = 17, asymptotic p = 0.11135.
    assert mann_whitney([19, 22, 16, 29, 24], [20, 11, 17, 12]) == pytest.approx(0.11134688653314041, rel=1e-9)


def test_ties_are_corrected_as_all_orders_of_the_values_say() -> None:
    left, right = [1.0, 2.0, 2.0, 5.0], [2.0, 3.0, 3.0]

    def u_of(some: list[float], others: list[float]) -> float:
        return sum((one > other) + (one == other) / 2 for one in some for other in others)

    values, places = [*left, *right], range(len(left) + len(right))
    every = [
        u_of([values[i] for i in chosen], [values[i] for i in places if i not in chosen])
        for chosen in combinations(places, len(left))
    ]
    mean = sum(every) / len(every)
    deviation = math.sqrt(sum((u - mean) ** 2 for u in every) / len(every))
    z = (abs(u_of(left, right) - mean) - 0.5) / deviation
    assert mann_whitney(left, right) == pytest.approx(math.erfc(z / math.sqrt(2)))


def test_equal_and_disjoint_samples() -> None:
    assert mann_whitney([3.0] * 20, [3.0] * 20) == 1
    assert mann_whitney(range(100), range(100, 200)) < 1e-9


@pytest.mark.parametrize(
    ("medians", "p", "verdict"),
    [
        ((0.030, 0.034), 0.5, "alike"),
        ((0.030, 0.034), 0.001, "within the bound"),
        ((0.030, 0.036), 0.5, "differs"),
        ((0.200, 0.209), 0.5, "alike"),
        ((0.200, 0.211), 0.001, "differs"),
    ],
)
def test_G16_verdicts(medians: tuple[float, float], p: float, verdict: str) -> None:
    assert Comparison("x", *medians, p).verdict == verdict


def test_samples_are_taken_in_turns_and_the_first_ones_left_out() -> None:
    calls: list[str] = []

    def one(kind: str, took: float) -> float:
        calls.append(kind)
        return took

    order = random.Random(7)  # noqa: S311 - it only has to repeat
    taken = take_turns({"a": lambda: one("a", 1), "b": lambda: one("b", 2)}, 5, order)
    assert taken == {"a": [1] * 5, "b": [2] * 5}
    assert all({*calls[place : place + 2]} == {"a", "b"} for place in range(0, len(calls), 2))


def test_the_table_is_put_between_its_markers() -> None:
    written = table([compare("one / other", [0.030, 0.031, 0.032], [0.030, 0.031, 0.032])], 3)
    text = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n", written)
    assert text.startswith(f"before\n{BEGIN}\n| what")
    assert text.endswith(f"{END}\nafter\n")
    assert "| one / other | 31.00 / 31.00 | 0.00 | 1.000 | alike |" in text
    assert "old" not in text
    with pytest.raises(ValueError, match="lacks"):
        with_table("no markers", written)


def test_samples_that_were_not_judged_are_noticed() -> None:
    whole = {"a": [0.03] * 99 + [0.001]}
    assert judged(whole) is whole
    with pytest.raises(ValueError, match="limit"):
        judged({"a": [0.03] * 98 + [0.001] * 2})
