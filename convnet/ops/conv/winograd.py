"""Convolution by fewer multiplications: the matrices of F(m, r), which makes m outputs of a filter of r taps at once.

    y = A' ((G w) * (B' x))        x: m + r - 1 numbers, w: r, y: m, y[i] = sum over j of x[i + j] w[j]

with * number by number: m + r - 1 multiplications in place of m r. In two dimensions each matrix is applied along both.
It is the Toom-Cook algorithm: polynomials are multiplied by their values at points, one of them at infinity. The points
decide how much rounding errors grow; small numbers and their inverses are the best known (Barabasz et al., "Error
Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020). B does not depend on r as
long as m + r does not change. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

Matrix = list[list[Fraction]]

_POINTS = [Fraction(p) for p in ("0", "1", "-1", "1/2", "-2", "2", "-1/2")]


def output_matrix(m: int, r: int) -> Matrix:
    """A', (m, m + r - 1)."""
    points = _POINTS[: m + r - 2]
    return [[*(p**i for p in points), Fraction(i == m - 1)] for i in range(m)]


def filter_matrix(m: int, r: int) -> Matrix:
    """G, (m + r - 1, r)."""
    points = _POINTS[: m + r - 2]
    rows = []
    for p in points:
        scale = Fraction(1)
        for other in points:
            scale *= p - other if other != p else 1
        rows.append([p**k / scale for k in range(r)])
    return [*rows, [Fraction(k == r - 1) for k in range(r)]]


def input_matrix(m: int, r: int) -> Matrix:
    """B', (m + r - 1, m + r - 1)."""
    points = _POINTS[: m + r - 2]
    rows = [[*_product([other for other in points if other != p]), Fraction(0)] for p in points]
    return [*rows, _product(points)]


def pairs(rows: Matrix) -> list[tuple[int, int]]:
    """Rows of which one has the numbers of the other, some of them negative: those of points p and -p.

    Then row i is s + o and row j is s - o, where s are the numbers that both have, and o the others of row i.
    """
    found: list[tuple[int, int]] = []
    for i, j in combinations(range(len(rows)), 2):
        both = [(a, b) for a, b in zip(rows[i], rows[j], strict=True) if a != 0 or b != 0]
        taken = {row for pair in found for row in pair}
        if {a == b for a, b in both} == {True, False} and all(abs(a) == abs(b) for a, b in both) and not {i, j} & taken:
            found.append((i, j))
    return found


def transposed(matrix: Matrix) -> Matrix:
    """Its columns as rows."""
    return [list(column) for column in zip(*matrix, strict=True)]


def by_sums(matrix: Matrix, columns: list[tuple[int, int]]) -> Matrix:
    """The matrix for numbers of which each pair (x[i], x[j]) is replaced by (x[i] + x[j], x[i] - x[j])."""
    result = [[*row] for row in matrix]
    for i, j in columns:
        for row in result:
            row[i], row[j] = (row[i] + row[j]) / 2, (row[i] - row[j]) / 2
    return result


def _product(roots: list[Fraction]) -> list[Fraction]:
    """The coefficients, lowest first, of the polynomial with these roots."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, same = [Fraction(0), *coefficients], [*coefficients, Fraction(0)]
        coefficients = [s - root * c for s, c in zip(shifted, same, strict=True)]
    return coefficients
