"""What a text asks for: the same words, the same answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor.domain.plan import CATEGORIES, StepType
from conductor.routing.classifying import category_of, classify
from conductor.routing.words import CATEGORY_WORDS

PHRASES = {
    "Add a command that exports all invoices": "code-generation-new-features",
    "Implement undo and redo in the editor": "code-generation-new-features",
    "Build a calculator with operations": "code-generation-new-features",
    "Fix the crash when the file is empty": "bug-detection-fixes",
    "The total is wrong after a refund": "bug-detection-fixes",
    "Fix the failing test": "bug-detection-fixes",
    "Refactor the billing module into smaller files": "multi-file-refactoring",
    "Rename Widget to Gadget everywhere": "multi-file-refactoring",
    "Split up the god class": "multi-file-refactoring",
    "Write unit tests for the calculator": "unit-test-generation",
    "Add tests for the date helpers": "unit-test-generation",
    "Find out why the worker deadlocks intermittently": "debugging-complex-issues",
    "Debug the flaky upload": "debugging-complex-issues",
    "Build a REST API for orders with pagination": "api-development",
    "Add an endpoint that returns the user's invoices": "api-development",
    "Audit the login code for SQL injection": "security-vulnerability-detection",
    "Check the uploads for security issues": "security-vulnerability-detection",
    "Patch the XSS vulnerability in the comment form": "security-fixes",
    "Sanitize what users write into their profile": "security-fixes",
    "Document the public functions": "documentation-generation",
    "Update the README": "documentation-generation",
    "Review src/ for bugs": "code-review",
    "Give feedback on the last three commits": "code-review",
    "Add dark mode support to the settings page": "frontend-development",
    "Make the navbar responsive": "frontend-development",
    "Add a background job that sends the letters": "backend-development",
    "Implement the authentication middleware": "backend-development",
    "Design the schema of the orders database": "database-operations",
    "Add a migration for the new column": "database-operations",
    "Explain how the scheduler works": "codebase-exploration",
    "Where is the retry policy decided?": "codebase-exploration",
    "Bump requests to 2.32": "dependency-management",
    "Upgrade all npm packages": "dependency-management",
    "Modernize the payment module": "legacy-modernization",
    "Convert the scripts from python 2 to python 3": "legacy-modernization",
    "Fix the mypy errors in settings.py": "error-correction",
    "Correct the typo in the title": "error-correction",
    "Optimize the slow report": "performance-optimization",
    "Make the start-up faster": "performance-optimization",
    "Measure the coverage of the parser": "test-coverage-analysis",
    "Which functions are untested?": "test-coverage-analysis",
    "Implement Dijkstra's shortest path": "algorithm-implementation",
    "Write a Python function to calculate fibonacci numbers": "algorithm-implementation",
    "Scaffold a new Flask project": "boilerplate-generation",
    "Write a hello world in Go": "boilerplate-generation",
    "Set up GitHub Actions to run the checks": "ci-cd-integration",
    "Make the deployment pipeline wait for approval": "ci-cd-integration",
    "Configure nginx for TLS": "configuration-management",
    "Read the port from an environment variable": "configuration-management",
    "Good morning": "",
}


@pytest.mark.parametrize(("text", "category"), PHRASES.items())
def test_a_phrase_is_of_its_category(text: str, category: str) -> None:
    assert classify(text).category == category


def test_every_category_has_words_and_a_phrase() -> None:
    assert sorted(name for name, _ in CATEGORY_WORDS) == sorted(CATEGORIES)
    assert set(PHRASES.values()) - {""} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("text", "complexity"),
    [
        ("Correct the typo in the title", 1),
        ("Add a small helper", 2),
        ("Add a form with validation", 3),
        ("Integrate several payment services", 4),
        ("Write a distributed lock", 5),
        ("Write a simple distributed lock", 5),
        ("Add a helper", None),
    ],
)
def test_how_complex_it_is_stands_in_its_words(text: str, complexity: int | None) -> None:
    assert classify(text).complexity == complexity


@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        ("Think hard about the layout of the menu", "high"),
        ("Quickly add a complex state machine", "low"),
        ("Correct the typo in the title", "low"),
        ("Add a form with validation", "medium"),
        ("Debug the flaky upload", "high"),
        ("Write a distributed lock", "high"),
        ("Implement a tiny sort", "low"),
        ("Add a helper", ""),
    ],
)
def test_how_much_thinking_it_wants_is_said_or_follows(text: str, thinking: str) -> None:
    assert classify(text).thinking == thinking


def test_a_step_without_a_category_is_known_by_title_then_description_then_type() -> None:
    assert category_of("Users table", "Add a migration", StepType.FEATURE) == "database-operations"
    assert category_of("Improve the API", "and its documentation", StepType.FEATURE) == "api-development"
    assert category_of("Improve the API", "", StepType.TEST) == "unit-test-generation"
    assert category_of("Do it", "now", StepType.REFACTOR) == "multi-file-refactoring"


@settings(max_examples=40)
@given(st.text(max_size=300))
def test_any_text_is_answered_and_always_the_same_way(text: str) -> None:
    first = classify(text)

    assert first == classify(text)
    assert first.category in {"", *CATEGORIES}
    assert first.thinking in {"", "low", "medium", "high"}


@pytest.mark.parametrize(
    "text", ["fix " * 50_000, "migrate " + "a " * 50_000, "find " * 900 + "x" * 90_000, "\n" * 90_000]
)
def test_a_long_text_is_answered_too(text: str) -> None:
    classify(text)
