"""What hypothesis makes tasks and lines from."""

from __future__ import annotations

from hypothesis import strategies as st

from conductor.domain.durations import MOST_SECONDS
from conductor.domain.task import MAX_PRIORITY, TaskSpec

ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
UTF8 = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
TEXTS = st.text(UTF8, max_size=60)
LINE_NOISE = st.text(st.sampled_from("\\|nr=\n\r a1é\u2028\x85\ud800"), max_size=40)
"""What the escapes are about, again and again."""

PLAIN = st.one_of(TEXTS, st.text(st.sampled_from("\\|nr\n\r=# é\u2028\x1c\x85"), max_size=20))
DURATIONS = st.one_of(
    st.none(),
    st.floats(min_value=1e-6, max_value=MOST_SECONDS),
    st.integers(min_value=1, max_value=100_000).map(float),
)

SPECS = st.builds(
    TaskSpec,
    id=IDS,
    description=PLAIN.filter(lambda text: text.strip() != ""),
    model=PLAIN.map(lambda text: text.strip().lstrip("-").strip()),
    thinking=PLAIN.map(lambda text: text.strip().lstrip("-").strip()),
    agent=PLAIN,
    pool=IDS,
    priority=st.integers(-MAX_PRIORITY, MAX_PRIORITY),
    timeout_seconds=DURATIONS,
    stall_seconds=DURATIONS,
    retries=st.one_of(st.none(), st.integers(0, 1000)),
    workspace=st.one_of(st.just(""), PLAIN.map(lambda text: "/" + text)),
    env=st.lists(st.tuples(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), PLAIN), max_size=3).map(tuple),
    not_before_ms=st.integers(0, (1 << 44) - 1),
    submitted_ms=st.integers(0, (1 << 44) - 1),
    after=st.lists(IDS, max_size=3).map(tuple),
).filter(lambda spec: spec.id not in spec.after)
