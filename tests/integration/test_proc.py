"""Running other programs."""

import os
import signal
import time
from pathlib import Path

import pytest

from renewer.core.errors import ConfigError, Transient
from renewer.system import process


def shell(text: str, timeout: float = 10) -> process.Finished:
    return process.run(("sh", "-c", text), timeout)


def test_output_errors_and_exit_code_come_back() -> None:
    assert shell("echo out; echo err >&2; exit 3") == process.Finished(3, "out\nerr\n")
    assert shell("kill -9 $$").code == -signal.SIGKILL


def test_nothing_secret_and_nothing_to_read_is_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "made-up")
    names = {line.partition("=")[0] for line in process.run(("env",), 10).output.splitlines()}
    assert names == {"PATH", "LANG", "HOME"}
    assert shell("read line || echo nothing").output == "nothing\n"


def test_arguments_go_through_no_shell() -> None:
    assert process.run(("echo", "$HOME; id"), 10).output == "$HOME; id\n"


def test_only_the_end_of_much_output_is_kept() -> None:
    finished = shell("head -c 300000 /dev/zero | tr '\\0' x; echo end")
    assert len(finished.output) == process.KEPT
    assert finished.output.endswith("xend\n")


def test_what_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(Transient, match=r"sh did not finish within 0\.3 s"):
        shell(f"sleep 60 & echo $! > {tmp_path}/pid; sleep 60", timeout=0.3)
    assert time.monotonic() - begin < 5
    pid = (tmp_path / "pid").read_text().strip()
    end = time.monotonic() + 5
    while not _dead(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_program_that_closed_its_output_is_waited_for_only_so_long() -> None:
    with pytest.raises(Transient):
        shell("exec >&- 2>&-; sleep 60", timeout=0.3)


def test_what_a_program_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    begin = time.monotonic()
    assert shell(f"sleep 60 & echo $! | tee {tmp_path}/pid").code == 0
    assert time.monotonic() - begin < 5
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("program", ["/no/such/program", "/etc/passwd"])
def test_a_program_that_cannot_be_run_is_a_matter_of_configuration(program: str) -> None:
    with pytest.raises(ConfigError, match=f"{program} cannot be run") as refused:
        process.run((program,), 1)
    assert refused.value.hint


def _dead(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
