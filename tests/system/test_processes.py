import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dvae_core.system import processes as process
from dvae_core.system.processes import ProcessIdentity

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"


@pytest.fixture(params=["kernel", "psutil"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the birth of a process is read: from Linux, or as on other systems."""
    if request.param == "psutil":
        monkeypatch.setattr(process, "_boot_id", lambda: "")
    elif not Path("/proc/self/stat").exists():
        pytest.skip("no Linux")
    return str(request.param)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    started = subprocess.Popen(["sleep", "100"], start_new_session=True)
    yield started
    started.kill()
    started.wait()


def identity_of(pid: int) -> ProcessIdentity:
    identity = ProcessIdentity.of(pid)
    assert identity is not None
    return identity


@pytest.mark.usefixtures("source")
def test_a_process_is_known_while_it_lives(sleeper: "subprocess.Popen[bytes]") -> None:
    assert ProcessIdentity.current() == identity_of(os.getpid())
    identity = identity_of(sleeper.pid)
    assert identity.is_alive()
    assert ProcessIdentity.model_validate_json(identity.model_dump_json()) == identity
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the table
    assert not identity.is_alive()
    assert ProcessIdentity.of(sleeper.pid) is None
    sleeper.wait()
    assert not identity.is_alive()


@pytest.mark.usefixtures("source")
def test_a_process_id_used_again_is_not_believed(sleeper: "subprocess.Popen[bytes]") -> None:
    before = ProcessIdentity(pid=sleeper.pid, birth=ProcessIdentity.current().birth)
    assert not before.is_alive()
    before.end(0.1)
    assert sleeper.poll() is None


def test_the_same_tick_of_another_boot_is_another_process() -> None:
    own = ProcessIdentity.current()
    boot, _, tick = own.birth.rpartition("/")
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    again = ProcessIdentity(pid=own.pid, birth=f"00000000-0000-0000-0000-000000000000/{tick}")
    assert not again.is_alive()


def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = ProcessIdentity.current()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 0.0)
    assert identity.is_alive()
    assert identity == ProcessIdentity.current()


def test_two_processes_of_the_same_moment_are_two() -> None:
    started = [subprocess.Popen(["sleep", "100"]) for _ in range(5)]
    try:
        assert len({identity_of(one.pid) for one in started}) == 5
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_a_name_that_looks_like_fields_is_read_past(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    shutil.copy(str(shutil.which("sleep")), program)
    started = subprocess.Popen([str(program), "100"])
    try:
        identity = identity_of(started.pid)
        assert identity.is_alive()
        seconds = int(identity.birth.rpartition("/")[2]) / os.sysconf("SC_CLK_TCK")
        assert abs(seconds - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
    finally:
        started.kill()
        started.wait()


def test_one_that_hears_nothing_is_killed_with_its_group() -> None:
    program = f"import subprocess; subprocess.Popen(['sleep', '100'])\n{DEAF}\ntime.sleep(100)"
    started = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    assert started.stdout is not None
    started.stdout.readline()
    identity_of(started.pid).end(0.2)
    assert started.wait() == -signal.SIGKILL
    started.stdout.close()
    assert not group_lives(started.pid)


def test_a_group_is_not_outlived_by_its_members() -> None:
    """The leader ends when it is asked, a child of it does not."""
    child = f"import sys, subprocess; subprocess.run([sys.executable, '-c', {DEAF!r} "
    program = child + "+ '; time.sleep(100)'])"
    started = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    assert started.stdout is not None
    started.stdout.readline()
    identity_of(started.pid).end(5.0)
    assert started.wait() == -signal.SIGTERM
    started.stdout.close()
    assert not group_lives(started.pid)


def test_one_that_leads_no_group_ends_alone(sleeper: "subprocess.Popen[bytes]") -> None:
    member = subprocess.Popen(["sleep", "100"])  # in the group of this very process
    identity_of(member.pid).end(5.0)
    assert member.wait() == -signal.SIGTERM


def group_lives(group: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        members = [
            one
            for one in psutil.process_iter()
            if one.pid != os.getpid() and _group_of(one) == group
        ]
        if all(one.status() == psutil.STATUS_ZOMBIE for one in members):
            return False
        time.sleep(0.05)
    return True


def _group_of(one: psutil.Process) -> int | None:
    try:
        return os.getpgid(one.pid)
    except ProcessLookupError:
        return None
