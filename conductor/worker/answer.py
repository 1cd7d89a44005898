"""RESULT.txt and SUMMARY.txt: what people read of an attempt, unless the agent wrote them itself."""

from __future__ import annotations

import os
import stat

from conductor.domain.masking import Masker
from conductor.kit.durable import read_bytes, write_plain

SUMMARY_CHARACTERS = 2000
_LARGEST_RESULT = 1_048_576


def write_answer(directory: str, text: str, masker: Masker) -> str:
    """Both files in the attempt's folder; returns the answer, masked."""
    os.makedirs(directory, mode=0o700, exist_ok=True)  # an agent may have removed its own folder
    own = _own_file(f"{directory}/RESULT.txt", masker)
    if own is None:
        write_plain(f"{directory}/RESULT.txt", _line_ended(text).encode("utf-8", "replace"))
    answer = text if own is None else own
    if _own_file(f"{directory}/SUMMARY.txt", masker, SUMMARY_CHARACTERS) is None:
        write_plain(f"{directory}/SUMMARY.txt", summary_of(answer).encode("utf-8", "replace"))
    return answer


def _own_file(path: str, masker: Masker, most_characters: int = _LARGEST_RESULT) -> str | None:
    """What the agent wrote there, masked and cut; None where it wrote no regular file."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)
            return None
        raw = read_bytes(path, _LARGEST_RESULT)
    except OSError:
        return None
    text = masker.mask_bytes(raw).decode("utf-8", "replace")[:most_characters]
    if text.encode() != raw or os.lstat(path).st_size != len(raw):
        write_plain(path, text.encode())
    return text


def summary_of(text: str) -> str:
    """The end of `text`, at most 2,000 characters with its line end, from a line's beginning where it can be."""
    whole = _line_ended(text)
    if len(whole) <= SUMMARY_CHARACTERS:
        return whole
    end = whole[-SUMMARY_CHARACTERS + 2 :]
    return "…\n" + (end[end.index("\n") + 1 :] if "\n" in end[:200] else end)


def _line_ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
