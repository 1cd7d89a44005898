"""The project that the simulated model can build whole: a calculator, in steps that are merged one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_MAKEFILE = """\
# `make test` runs the tests with the standard library alone.
test:
\tpython3 -B -m unittest discover -q -s tests -t . -p '*_tests.py'
"""

_PACKAGE_TESTS = '''\
"""The package itself."""

import unittest

import calculator


class PackageTests(unittest.TestCase):
    def test_it_has_a_version(self):
        self.assertRegex(calculator.__version__, r"^[0-9]+[.][0-9]+$")


if __name__ == "__main__":
    unittest.main()
'''

_OPERATIONS = '''\
"""The operations, by the sign that a user types."""


def add(left, right):
    return left + right


def subtract(left, right):
    return left - right


def multiply(left, right):
    return left * right


def divide(left, right):
    """Raises ZeroDivisionError."""
    return left / right


OPERATIONS = {"+": add, "-": subtract, "x": multiply, "/": divide}
'''

_OPERATIONS_TESTS = '''\
"""Every operation, and dividing by nought."""

import unittest

from calculator import operations


class OperationsTests(unittest.TestCase):
    def test_each_sign_has_its_operation(self):
        wanted = {"+": 8, "-": 4, "x": 12, "/": 3}
        for sign, result in wanted.items():
            with self.subTest(sign=sign):
                self.assertEqual(operations.OPERATIONS[sign](6, 2), result)

    def test_dividing_by_nought_is_an_error(self):
        with self.assertRaises(ZeroDivisionError):
            operations.divide(1, 0)


if __name__ == "__main__":
    unittest.main()
'''

_CLI = '''\
"""`python3 -m calculator 6 x 7`"""

import sys

from calculator.operations import OPERATIONS

USAGE = "usage: python3 -m calculator NUMBER " + "|".join(OPERATIONS) + " NUMBER"


def main(arguments):
    """Prints the result; 2 where what was typed is no calculation."""
    try:
        left, sign, right = arguments
        print(f"{OPERATIONS[sign](float(left), float(right)):g}")
    except (ValueError, KeyError):
        print(USAGE, file=sys.stderr)
        return 2
    except ZeroDivisionError:
        print("can't divide by nought", file=sys.stderr)
        return 1
    return 0
'''

_MAIN = """\
import sys

from calculator.cli import main

sys.exit(main(sys.argv[1:]))
"""

_CLI_TESTS = '''\
"""The command line as a user meets it."""

import subprocess
import sys
import unittest


def calculate(*arguments):
    return subprocess.run([sys.executable, "-B", "-m", "calculator", *arguments], capture_output=True, text=True)


class CliTests(unittest.TestCase):
    def test_it_prints_the_result(self):
        self.assertEqual(calculate("6", "x", "7").stdout, "42\\n")

    def test_what_is_no_calculation_is_answered_with_the_usage(self):
        self.assertEqual(calculate("six").returncode, 2)
        self.assertIn("usage:", calculate("6", "?", "7").stderr)

    def test_dividing_by_nought_is_told(self):
        self.assertEqual(calculate("1", "/", "0").returncode, 1)


if __name__ == "__main__":
    unittest.main()
'''

_USAGE = """\
# The calculator

    python3 -m calculator 6 x 7

prints 42. The signs are `+`, `-`, `x` and `/`. Exit code 2: what was typed is no calculation; 1: a division by nought.
`make test` runs the tests.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One step of the plan, and the files with which it is done."""

    id: str
    title: str
    description: str
    category: str
    kind: str
    complexity: int
    depends_on: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    criteria: tuple[str, ...]

    @property
    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "type": self.kind,
            "category": self.category,
            "complexity": self.complexity,
            "depends_on": list(self.depends_on),
            "files": [path for path, _ in self.files],
            "criteria": list(self.criteria),
            "estimate": "5m",
            "confidence": 0.95,
        }


PARTS = (
    Part(
        id="package",
        title="The calculator's package and its tests' frame",
        description="Make the package calculator with its version, a Makefile whose target test runs unittest over "
        "tests/*_tests.py, and a first test.",
        category="boilerplate-generation",
        kind="feature",
        complexity=1,
        depends_on=(),
        files=(
            ("Makefile", _MAKEFILE),
            ("calculator/__init__.py", '"""A calculator."""\n\n__version__ = "1.0"\n'),
            ("tests/__init__.py", '"""Run them with `make test`."""\n'),
            ("tests/package_tests.py", _PACKAGE_TESTS),
        ),
        criteria=("make test passes",),
    ),
    Part(
        id="operations",
        title="The calculator's operations",
        description="Write calculator/operations.py: add, subtract, multiply and divide, and OPERATIONS, which maps "
        "the signs + - x / to them. Dividing by nought raises ZeroDivisionError.",
        category="algorithm-implementation",
        kind="feature",
        complexity=2,
        depends_on=("package",),
        files=(("calculator/operations.py", _OPERATIONS),),
        criteria=("OPERATIONS has +, -, x and /", "divide raises ZeroDivisionError"),
    ),
    Part(
        id="unit-tests",
        title="Unit tests of the calculator's operations",
        description="Write tests/operations_tests.py: every operation by its sign, and dividing by nought.",
        category="unit-test-generation",
        kind="test",
        complexity=2,
        depends_on=("operations",),
        files=(("tests/operations_tests.py", _OPERATIONS_TESTS),),
        criteria=("every operation has a test", "make test passes"),
    ),
    Part(
        id="cli",
        title="The calculator's command line",
        description="Write calculator/cli.py and calculator/__main__.py, so that `python3 -m calculator 6 x 7` prints "
        "42, and tests/cli_tests.py. Exit code 2 with the usage for no calculation, 1 for a division by nought.",
        category="code-generation-new-features",
        kind="feature",
        complexity=2,
        depends_on=("operations",),
        files=(
            ("calculator/cli.py", _CLI),
            ("calculator/__main__.py", _MAIN),
            ("tests/cli_tests.py", _CLI_TESTS),
        ),
        criteria=("python3 -m calculator 6 x 7 prints 42", "make test passes"),
    ),
    Part(
        id="docs",
        title="How the calculator is used",
        description="Write docs/usage.md: an example, the signs, the exit codes, how the tests are run.",
        category="documentation-generation",
        kind="documentation",
        complexity=1,
        depends_on=("cli",),
        files=(("docs/usage.md", _USAGE),),
        criteria=("docs/usage.md shows an example that works",),
    ),
)


def part_for(task: str) -> Part | None:
    """Whose title a worker's task begins with."""
    return next((part for part in PARTS if task.lstrip().startswith(part.title)), None)
