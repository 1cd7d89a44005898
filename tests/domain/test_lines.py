"""Task lines and result lines: what is written is read back, what is malformed is a BadTask and nothing else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conductor.domain.errors import BadTask
from conductor.domain.lines import (
    PREVIEW_CHARACTERS,
    ResultLine,
    escape,
    format_result,
    format_task,
    format_timestamp,
    parse_description,
    parse_result,
    parse_task,
    seal,
    split_fields,
    unescape,
    unseal,
)
from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec
from tests.domain.strategies import IDS, LINE_NOISE, PLAIN, SPECS, TEXTS

ANY_TEXT = st.one_of(st.text(), LINE_NOISE)


# -- escapes and fields


@given(ANY_TEXT)
def test_unescape_undoes_escape(text: str) -> None:
    assert unescape(escape(text)) == text


@given(ANY_TEXT)
def test_an_escaped_text_is_one_line_and_one_field(text: str) -> None:
    escaped = escape(text)

    assert "\n" not in escaped
    assert "\r" not in escaped
    assert split_fields(escaped) == [escaped]


@given(st.lists(ANY_TEXT, min_size=1, max_size=8))
def test_fields_that_were_joined_are_split_at_the_same_places(texts: list[str]) -> None:
    fields = [escape(text) for text in texts]

    assert split_fields("|".join(fields)) == fields


@given(ANY_TEXT)
def test_splitting_loses_and_adds_nothing(line: str) -> None:
    assert "|".join(split_fields(line)) == line


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", [""]),
        ("|", ["", ""]),
        ("a|b", ["a", "b"]),
        (r"a\|b|c", [r"a\|b", "c"]),
        (r"a\\|b", [r"a\\", "b"]),
        (r"a\\\|b", [r"a\\\|b"]),
        ("a\\", ["a\\"]),
        ("a|b\\", ["a", "b\\"]),
        ("a\\\n|b", ["a\\\n", "b"]),
        (r"\||\|", [r"\|", r"\|"]),
        (r"x\n||", [r"x\n", "", ""]),
    ],
)
def test_a_bar_behind_a_backslash_does_not_split(line: str, fields: list[str]) -> None:
    assert split_fields(line) == fields


def test_a_line_of_a_mebibyte_that_is_all_escapes_is_split() -> None:
    field = r"\|" * 500_000

    assert split_fields(f"a|{field}|b") == ["a", field, "b"]


@pytest.mark.parametrize("text", ["\\", "a\\", "\\x", "\\t", "\\N", "\\ ", "\\\n", "\\é", "ok\\\\\\"])
def test_an_escape_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(BadTask, match="unknown escape"):
        unescape(text)


# -- task lines


@given(SPECS)
@example(TaskSpec("a", "x", timeout_seconds=1e-05, stall_seconds=3e-06))
@example(TaskSpec("a", "x", timeout_seconds=315_360_000.0))
@example(TaskSpec("a", "# no comment|\\n \r\n", env=(("A", "=|="), ("A", "")), workspace="/|"))
def test_a_task_that_was_formatted_is_read_back(spec: TaskSpec) -> None:
    line = format_task(spec)

    assert "\n" not in line
    assert "\r" not in line
    assert parse_task(line) == spec


def test_a_bare_four_field_line_is_a_whole_task() -> None:
    assert parse_task("t1|make test|opus|high") == TaskSpec("t1", "make test", "opus", "high")
    assert parse_task("t1|make test||") == TaskSpec("t1", "make test")


def test_an_empty_id_becomes_the_one_that_is_given() -> None:
    assert parse_task("|make test||", missing_id="b-7").id == "b-7"
    assert parse_task("mine|make test||", missing_id="b-7").id == "mine"


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert format_task(TaskSpec("t1", "x")) == "t1|x||"
    assert format_task(TaskSpec("t1", "x", agent="command", priority=-2)) == "t1|x|||agent=command|priority=-2"


def test_options_are_read_in_any_order_and_times_as_people_write_them() -> None:
    line = "t1|x|||retries=2|timeout=1h30m|stall_timeout=90|env=A=1=2|pool=gpu|agent=command|env=B=\\||workspace=/w"

    spec = parse_task(line)

    assert spec == TaskSpec(
        "t1",
        "x",
        agent="command",
        pool="gpu",
        timeout_seconds=5400.0,
        stall_seconds=90.0,
        retries=2,
        workspace="/w",
        env=(("A", "1=2"), ("B", "|")),
    )


MALFORMED = {
    "too few fields": "a|b|c",
    "empty": "",
    "no id": "|x||",
    "id with a slash": "a/b|x||",
    "id that climbs": "..|x||",
    "id with a line end": "a\\n|x||",
    "id with a bar": "a\\|b|x||",
    "id too long": "a" * 65 + "|x||",
    "id of other letters": "é|x||",
    "empty description": "a|||",
    "blank description": "a| \\n ||",
    "description with NUL": "a|x\0||",
    "description with a lone surrogate": "a|\udc80||",
    "description too long": "a|" + "é" * 524_289 + "||",
    "broken escape": "a|\\q||",
    "backslash at the end": "a|x||\\",
    "option without a value": "a|x|||urgent",
    "unknown option": "a|x|||colour=red",
    "empty option": "a|x|||",
    "priority no number": "a|x|||priority=high",
    "priority empty": "a|x|||priority=",
    "priority too high": "a|x|||priority=1000",
    "retries negative": "a|x|||retries=-1",
    "retries too many": "a|x|||retries=1001",
    "retries a fraction": "a|x|||retries=1.5",
    "number of 5,000 digits": "a|x|||retries=" + "9" * 5000,
    "timeout nothing": "a|x|||timeout=0",
    "timeout negative": "a|x|||timeout=-5",
    "timeout no time": "a|x|||timeout=soon",
    "timeout not a number": "a|x|||timeout=nan",
    "timeout endless": "a|x|||timeout=1e999",
    "timeout beyond ten years": "a|x|||timeout=4000d",
    "stall timeout nothing": "a|x|||stall_timeout=0ms",
    "pool with a space": "a|x|||pool=my pool",
    "pool empty": "a|x|||pool=",
    "env name with a dash": "a|x|||env=A-B=1",
    "env name empty": "a|x|||env==1",
    "env value with NUL": "a|x|||env=A=\0",
    "workspace relative": "a|x|||workspace=here",
    "workspace with NUL": "a|x|||workspace=/a\0b",
    "time before 1970": "a|x|||not_before=-1",
    "time after 2527": "a|x|||submitted=" + str(1 << 44),
    "model with NUL": "a|x|m\0|",
}


@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_task_line_is_a_bad_task_with_a_short_reason(line: str) -> None:
    with pytest.raises(BadTask) as caught:
        parse_task(line)

    assert 0 < len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_the_reason_stays_short_whatever_was_written() -> None:
    junk = "j" * 100_000
    lines = [f"{junk}|x||"]
    lines += [f"a|x|||{option}" for option in (junk, f"{junk}=1", f"timeout={junk}", f"env={junk}-=1", f"pool={junk}")]
    lines += [f"a|x|||{option}" for option in (f"workspace={junk}", f"priority={junk}", f"env={junk}=\0")]

    for line in lines:
        with pytest.raises(BadTask) as caught:
            parse_task(line)
        assert len(str(caught.value)) < 400, line[:40]


@given(st.one_of(ANY_TEXT, st.lists(ANY_TEXT, min_size=4, max_size=7).map("|".join)))
def test_arbitrary_text_is_a_task_or_a_bad_task(text: str) -> None:
    with suppress(BadTask):
        assert parse_task(parse_task(text).id + "|x||").description == "x"


@given(
    SPECS,
    st.sampled_from("agent pool priority timeout stall_timeout retries workspace env not_before submitted crc".split()),
    ANY_TEXT,
)
def test_an_option_with_arbitrary_text_is_read_or_refused(spec: TaskSpec, key: str, value: str) -> None:
    with suppress(BadTask):
        parse_task(f"{format_task(spec)}|{key}={value}")


@given(TEXTS)
def test_a_plain_description_is_literal(text: str) -> None:
    line = text.replace("\n", " ").rstrip("\r")

    assert parse_description(line + "\r") == line


# -- sealed lines


@given(SPECS)
def test_a_sealed_line_is_unsealed(spec: TaskSpec) -> None:
    line = format_task(spec)

    sealed = seal(line)

    assert sealed.endswith("\n")
    assert sealed.count("\n") == 1
    assert unseal(sealed) == line


@given(SPECS, st.data())
def test_a_torn_sealed_line_shows(spec: TaskSpec, data: st.DataObject) -> None:
    sealed = seal(format_task(spec)).encode()
    torn = sealed[: data.draw(st.integers(0, len(sealed) - 1))]

    with pytest.raises(BadTask, match="torn"):
        unseal(torn.decode("utf-8", "surrogateescape"))


@given(SPECS, st.data())
def test_a_changed_character_shows(spec: TaskSpec, data: st.DataObject) -> None:
    sealed = seal(format_task(spec))
    position = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(exclude_characters=sealed[position]))

    with pytest.raises(BadTask, match="torn or changed"):
        unseal(sealed[:position] + other + sealed[position + 1 :])


@given(ANY_TEXT)
def test_unsealing_arbitrary_text_is_a_bad_task(text: str) -> None:
    with pytest.raises(BadTask):
        unseal(text)


# -- result lines

RESULTS = st.builds(
    ResultLine, IDS, IDS, st.sampled_from(Status), st.just("2026-01-02T03:04:05.678Z"), PLAIN.map(lambda t: t[:200])
)


@given(RESULTS)
def test_a_result_that_was_formatted_is_read_back(result: ResultLine) -> None:
    line = format_result(result)

    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert parse_result(line) == result
    assert parse_result(line.removesuffix("\n")) == result


def test_the_preview_is_cut_at_two_hundred_characters_before_it_is_escaped() -> None:
    result = ResultLine("a", "w1-2-3-00000000", Status.FAILED, "2026-01-02T03:04:05.678Z", "|" * 300)

    line = format_result(result)

    assert parse_result(line) == replace(result, preview="|" * PREVIEW_CHARACTERS)


@pytest.mark.parametrize(
    "line",
    ["", "a|b|SUCCESS|t", "a|b|SUCCESS|t|p|q", "a|b|success|t|p", "a|b||t|p", "a|b|DONE|t|p", "a|b|FAILED|t|\\q"],
)
def test_a_malformed_result_line_is_a_bad_task(line: str) -> None:
    with pytest.raises(BadTask):
        parse_result(line)


@given(ANY_TEXT)
def test_arbitrary_text_is_a_result_or_a_bad_task(text: str) -> None:
    with suppress(BadTask):
        parse_result(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000.5, "2027-01-15T08:00:00.500Z"),
        (1_800_000_000.9996, "2027-01-15T08:00:00.999Z"),
        (1_799_999_999.9999998, "2027-01-15T07:59:59.999Z"),
    ],
)
def test_a_timestamp_is_rfc_3339_in_utc(seconds: float, text: str) -> None:
    assert format_timestamp(seconds) == text


@given(st.floats(min_value=0, max_value=8_000_000_000))
def test_a_timestamp_is_the_time_to_the_millisecond(seconds: float) -> None:
    read = datetime.fromisoformat(format_timestamp(seconds)).timestamp()

    assert abs(read - seconds) <= 0.0011


def test_whom_a_task_waits_for_is_written_as_one_list_and_read_from_several() -> None:
    spec = TaskSpec("c", "echo", after=("a", "b"))

    assert format_task(spec) == "c|echo|||after=a,b"
    assert parse_task("c|echo|||after=a|after=b,") == spec


@pytest.mark.parametrize("field", ["after=c", "after=../up", "after=a b", "after=" + "a," * 1001])
def test_whom_it_can_not_wait_for_is_refused(field: str) -> None:
    with pytest.raises(BadTask):
        parse_task(f"c|echo|||{field}")
