"""The rehearsal's scratch folder: gone after it, and the one of a killed nursery goes with the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.worker_id import ProcessIdentity, worker_id
from conductor.kit.process import boot_id, own_identity
from conductor.worker import rehearsal


def test_a_dead_nursery_s_folder_is_swept_and_a_living_one_s_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "_RAM_DISK", str(tmp_path))
    dead = tmp_path / f"conductor-{worker_id('nursery', ProcessIdentity(4_000_000, 1, boot_id()))}"
    alive = tmp_path / f"conductor-{worker_id('other', own_identity())}"
    strange = tmp_path / "conductor-notes"
    for folder in (dead, alive, strange):
        (folder / "home").mkdir(parents=True)

    with rehearsal.scratch_folder() as scratch:
        assert Path(scratch).is_dir()

    assert sorted(tmp_path.iterdir()) == sorted([alive, strange])


def test_without_a_ram_disk_there_is_no_scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_RAM_DISK", str(tmp_path / "absent"))

    with rehearsal.scratch_folder() as scratch:
        assert scratch == ""
