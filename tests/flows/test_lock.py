"""One writer a data folder, and a lock that the kernel frees."""

import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from flows.lock import LOCK, LockedError, one_writer

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from flows.lock import one_writer
with one_writer(Path(sys.argv[1]), 0):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(data: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that has the lock for a while."""
    arguments = [sys.executable, "-c", HOLD, str(data), str(seconds)]
    other = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert other.stdout
    assert other.stdout.readline() == "held\n"
    return other


def test_a_free_folder_is_taken_at_once_and_made_where_it_is_missing(tmp_path: Path) -> None:
    with one_writer(tmp_path / "new" / "data", 0) as waited:
        assert waited < timedelta(seconds=0.5)
    assert (tmp_path / "new" / "data" / LOCK).exists()


def test_a_lock_that_is_given_back_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with one_writer(tmp_path, 0):
            pass


def test_a_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), one_writer(tmp_path, 0):
        raise ZeroDivisionError
    with one_writer(tmp_path, 0):
        pass


def test_a_held_lock_is_refused_after_the_wait_in_one_line(tmp_path: Path) -> None:
    with one_writer(tmp_path, 0):
        began = time.monotonic()
        with pytest.raises(LockedError) as refused, one_writer(tmp_path, 0.3):
            pass
        assert time.monotonic() - began >= 0.3
    assert str(refused.value) == (
        f"{tmp_path}: another run is writing to it; waited 0.3 s, wait longer with --wait"
    )


def test_two_folders_have_two_locks(tmp_path: Path) -> None:
    with one_writer(tmp_path / "a", 0), one_writer(tmp_path / "b", 0):
        pass


def test_the_wait_ends_when_the_other_process_does(tmp_path: Path) -> None:
    with holder(tmp_path, 0.5), one_writer(tmp_path, 30) as waited:
        assert waited > timedelta(seconds=0.1)


def test_kill_9_frees_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path, 600) as other:
        with pytest.raises(LockedError), one_writer(tmp_path, 0):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
        with one_writer(tmp_path, 0):
            pass


def test_a_stale_lock_file_means_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("12345\n")
    with one_writer(tmp_path, 0):
        pass
