"""Secrets never show: keys of known shapes, values of secret-named variables; and nothing harmless is masked."""

from __future__ import annotations

import json
import os
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.masking import MASK, Masker, is_secret_name, masked_spec, secret_values
from conductor.domain.task import TaskSpec

BASE62 = "4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"  # forty characters
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0" + "." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

# Put together here, so that no scanner of repositories takes them for real ones.
KEYS = {
    "Anthropic": "sk-ant-" + "api03-" + BASE62 + "_" + BASE62 + "-AA",
    "OpenAI": "sk-" + BASE62,
    "OpenAI project": "sk-proj-" + BASE62 + "-" + BASE62,
    "OpenRouter": "sk-or-v1-" + HEX,
    "DeepSeek": "sk-" + HEX[:32],
    "GitHub personal": "ghp_" + BASE62[:36],
    "GitHub app": "ghs_" + BASE62[:36],
    "GitHub fine-grained": "github_pat_" + BASE62[:22] + "_" + BASE62,
    "GitLab": "glpat-" + BASE62[:20],
    "Google": "AIza" + BASE62[:35],
    "Google OAuth": "ya29." + BASE62,
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS temporary": "ASIA" + "IOSFODNN7EXAMPLE",
    "Slack": "xoxb-" + "123456789012-" + BASE62[:24],
    "Perplexity": "pplx-" + BASE62,
    "Groq": "gsk_" + BASE62,
    "Hugging Face": "hf_" + BASE62[:34],
    "npm": "npm_" + BASE62[:36],
    "xAI": "xai-" + BASE62,
    "Replicate": "r8_" + BASE62,
    "Stripe": "sk_live_" + BASE62[:24],
    "NVIDIA": "nvapi-" + BASE62,
    "a JSON web token": JWT,
}
AROUND = ["{}", "key={}", 'export KEY="{}"', "'{}'", "({})", "\x1b[32m{}\x1b[0m", "x\t{}\n", '{{"text": "a\\n{}\\n"}}']


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_a_provider_s_key_is_masked_wherever_it_stands(key: str) -> None:
    for around in AROUND:
        assert Masker().mask(around.format(key)) == around.format(MASK)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"Authorization: Bearer {BASE62}", f"Authorization: Bearer {MASK}"),
        (f"authorization: bearer {HEX}", f"authorization: bearer {MASK}"),
        (f"AUTHORIZATION: BEARER {HEX}", f"AUTHORIZATION: BEARER {MASK}"),
        ("Authorization: Basic dXNlcjpodW50ZXIy", f"Authorization: Basic {MASK}"),
        (f"Authorization: token {HEX}", f"Authorization: token {MASK}"),
        (f"x-api-key: {BASE62}", f"x-api-key: {MASK}"),
        (f"X-Api-Key: '{BASE62}'", f"X-Api-Key: '{MASK}'"),
        (f'{{"api_key": "{BASE62}"}}', f'{{"api_key": "{MASK}"}}'),
        (f'"{{\\"apikey\\": \\"{BASE62}\\"}}"', f'"{{\\"apikey\\": \\"{MASK}\\"}}"'),
        (f"API_KEY={BASE62};", f"API_KEY={MASK};"),
        ("postgres://app:hunter2@db:5432/x", f"postgres://app:{MASK}@db:5432/x"),
        ("redis://:hunter2@localhost/0", f"redis://:{MASK}@localhost/0"),
        ("https://me:p%40ss:word@host/a@b", f"https://me:{MASK}@host/a@b"),
        (
            "curl https://discord.com/api/webhooks/123456/" + BASE62,
            f"curl {MASK}",
        ),
    ],
)
def test_headers_assignments_and_passwords_in_urls_are_masked(text: str, masked: str) -> None:
    assert Masker().mask(text) == masked


HARMLESS = [
    f"commit {HEX}",
    "digest sha256:" + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "123e4567-e89b-12d3-a456-426614174000",
    "/usr/lib/python3.11/site-packages/pip/_vendor/tokenize_something.py:12:34",
    "tests/test_keys.py::test_the_api_key_is_read[sk-short] PASSED                [ 42%]",
    "=========== 12 passed, 3 skipped, 1 xfailed in 4.56s ===========",
    "task-20261121-064700-k3f9q2ab started",
    "disk-usage-report-for-monday, risk-assessment-2026-11-21, flask-sqlalchemy-migrations-3",
    "t-20261121-064700-k3f9q2ab|w1-4711-1a2b3c-0123abcd|SUCCESS|2026-11-21T06:47:00.123Z|ok",
    "Bearer authentication failed: the bearer configuration is incomplete",
    "api_key=os.environ.get('NAME')",
    "the api-key: see documentation",
    "http://localhost:8080/path@2x.png and https://example.com:8443/@scope/package",
    "git@github.com:owner/repository.git",
    "mail me: someone@example.com",
    "ssh://git@host:22/path",
    "the quick brown fox jumps over the lazy dog",
    "high through light",
    "eyJ is how they begin",
    "AKIA, ASIA and xoxb- are prefixes",
    "key=value token=none password=no",
    "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQgdGV4dA==",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert Masker().mask(text) == text


@given(st.text(st.sampled_from("abcdefghij klmnop.,:/-_\n0123456789"), max_size=200))
def test_without_a_prefix_of_a_key_nothing_is_masked(text: str) -> None:
    assert Masker().mask(text) == text


# -- values that are known to be secret


@given(st.text(min_size=8, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_never_shows(secret: str, before: str, after: str) -> None:
    masked = Masker([secret]).mask(before + secret + after)

    assert secret not in masked.replace(MASK, "\n\0\n") or secret in MASK


def test_a_longer_secret_is_masked_before_one_that_it_contains() -> None:
    masker = Masker(["password", "password-of-the-root"])

    assert masker.mask("password-of-the-root, password") == f"{MASK}, {MASK}"


def test_a_short_value_is_not_masked() -> None:
    assert Masker(["1234567"]).mask("1234567 12345678") == "1234567 12345678"
    assert Masker(["12345678"]).mask("1234567 12345678") == f"1234567 {MASK}"


def test_each_line_of_a_secret_with_several_lines_is_masked_by_itself() -> None:
    lines = [
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
        "Qg==",
    ]
    masker = Masker(["\n".join(lines)])

    assert masker.mask("\n".join(lines)) == MASK
    assert masker.mask(lines[1]) == MASK


def test_a_secret_that_is_no_utf_8_is_masked_in_bytes_and_in_text() -> None:
    secret = b"caf\xe9-caf\xe9-caf\xe9"
    as_python_has_it = secret.decode("utf-8", "surrogateescape")
    masker = Masker([as_python_has_it])

    assert masker.mask_bytes(b"<" + secret + b">") == b"<" + MASK.encode() + b">"
    assert masker.mask(f"<{as_python_has_it}>") == f"<{MASK}>"


@given(st.text(), st.lists(st.text(), max_size=3))
def test_masking_arbitrary_text_never_fails(text: str, secrets: list[str]) -> None:
    Masker(secrets).mask(text)


@given(st.binary())
def test_masking_arbitrary_bytes_never_fails(raw: bytes) -> None:
    assert Masker().mask_bytes(raw) == raw or MASK.encode() in Masker().mask_bytes(raw)


def test_a_lone_surrogate_does_not_stop_the_masking() -> None:
    assert MASK in Masker().mask("\ud800 " + KEYS["OpenAI"])


@given(st.sampled_from(list(KEYS.values())), st.integers(0, 300), st.integers(0, 300), st.data())
def test_a_long_line_is_never_cut_inside_a_key(key: str, before: int, after: int, data: st.DataObject) -> None:
    masker = Masker(["my own pass phrase"])
    wanted = data.draw(st.sampled_from([key, "my own pass phrase", f"Bearer {HEX}"]))
    raw = (" " * before + wanted + " " * after).encode()
    limit = data.draw(st.integers(0, len(raw)))

    cut = masker.safe_cut(raw, limit)

    assert cut <= limit
    assert masker.mask_bytes(raw[:cut]) + masker.mask_bytes(raw[cut:]) == masker.mask_bytes(raw)
    assert cut == limit or limit - cut <= len(wanted)


def test_output_that_is_all_beginnings_of_keys_is_masked_in_linear_time() -> None:
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (10, 10))  # quadratic would take minutes
            for piece in (b"eyJ", b"sk-", b"bearer=.", b"://", b"://a:", b"api_key=", b"gh", b"eyJ.", b"hf_"):
                Masker().mask_bytes(piece * (262_144 // len(piece)))
            os._exit(0)
        finally:
            os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# -- names of variables


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GITHUB_TOKEN", "MY_SECRET", "DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD",
        "DB_PASS", "GPG_PASSPHRASE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SESSION_COOKIE", "BASIC_AUTH",
        "AUTHORIZATION", "apikey", "npm_config__authToken", "SSH_PRIVATE_KEY", "VAULT_SECRET_ID", "SLACK_CREDENTIALS",
    ],
)  # fmt: skip
def test_a_variable_is_secret_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "PWD", "OLDPWD", "LANG", "SSH_AUTH_SOCK", "XAUTHORITY", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL",
        "AUTHOR", "KEYBOARD_LAYOUT", "TOKENIZERS_PARALLELISM", "SSH_KEY_PATH", "SSL_KEY_FILE", "PASSWORD_STORE_DIR",
        "AWS_ACCESS_KEY_ID", "COMPASS", "BYPASS_CACHE",
    ],
)  # fmt: skip
def test_a_variable_is_harmless_by_its_name(name: str) -> None:
    assert not is_secret_name(name)


def test_only_values_of_eight_characters_and_more_of_secret_named_variables_are_masked() -> None:
    environment = {"A_TOKEN": "12345678", "B_TOKEN": "1234567", "HOME": "/home/somebody", "C_KEY": ""}

    assert secret_values(environment) == {"12345678"}


def test_a_task_is_shown_without_its_secrets() -> None:
    spec = TaskSpec(
        "a",
        f"curl -H 'x: hunter2hunter2' {KEYS['GitHub personal']}",
        env=(("MY_TOKEN", "hunter2hunter2"), ("PIN_KEY", "1234"), ("MODE", "fast"), ("URL", "ftp://me:pw@h/")),
    )

    shown = masked_spec(spec)

    assert shown.description == f"curl -H 'x: {MASK}' {MASK}"
    assert dict(shown.env) == {"MY_TOKEN": MASK, "PIN_KEY": MASK, "MODE": "fast", "URL": f"ftp://me:{MASK}@h/"}
    assert "hunter2" not in json.dumps(shown.description)
