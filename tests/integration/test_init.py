"""`renewer init`, as somebody at a terminal sees it and as a script calls it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from support.facts import missing
from support.world import PATIENCE

from renewer.config.load import load
from sandbox import Sandbox, Token

GLOBAL_KEY = "0123456789abcdef0123456789abcdef01234"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("box"), ("example.com",), ca=False) as found:
        yield found


class Terminal:
    """The program at a terminal: what it says is waited for, what is typed is answered."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "renewer", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509 - its own terminal
        )
        os.close(slave)
        self.shown, self._seen = "", 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    def sees(self, words: str) -> Self:
        """Wait until these words come, after those that were waited for before."""
        end = time.monotonic() + PATIENCE
        while (found := self.shown.find(words, self._seen)) < 0:
            assert time.monotonic() < end, self.shown
            assert self._read(), self.shown
        self._seen = found + len(words)
        return self

    def types(self, text: str) -> Self:
        os.write(self._master, text.encode())
        return self

    def presses(self, key: str) -> int:
        """Press a key until the program ends: the first Ctrl-C is lost just before Python begins to read."""
        for _ in range(int(PATIENCE)):
            if self._process.poll() is not None:
                break
            self.types(key)
            while self._read(1.0):
                pass
        return self._process.wait(PATIENCE)

    def ends(self) -> int:
        while self._read():
            pass
        return self._process.wait(PATIENCE)

    def _read(self, patience: float = PATIENCE) -> str:
        if not select.select([self._master], [], [], patience)[0]:
            return ""
        try:
            said = os.read(self._master, 4096).decode(errors="replace")
        except OSError:  # the other side is closed
            return ""
        self.shown += said
        return said


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "renewer", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_at_a_terminal(box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "etc" / "renewer.toml"
    with Terminal("-c", str(file), "init", "--base-url", box.api_url) as terminal:
        terminal.sees("Domains").types("\n").sees("at least one domain")
        terminal.sees("Domains").types("10.0.0.1\n").sees("is an IP address")
        terminal.sees("Domains").types("https://Example.com/\n")
        terminal.sees("Also *.example.com").types("\n")
        terminal.sees("E-mail address").types("mailto:a@b.de\n").sees("without mailto:")
        terminal.sees("E-mail address").types("a@b.de\n")
        terminal.sees("Token (").types("two words\n").sees("has a space")
        terminal.sees("Token (").types(f"{GLOBAL_KEY}\n").sees("is a Global API Key")
        terminal.sees("Token (").types(f"{'x' * 40}\n")
        terminal.sees("staging CA").types("y\n")
        terminal.sees("token: rejected: Cloudflare said").sees("-> ")
        terminal.sees("Token (").types(f"{box.token}\n").sees("Next:")
        assert terminal.ends() == 0
        shown = terminal.shown
    assert re.search("token: active.*example.com", shown)
    assert len(re.findall(r"renewer -c \S+ (nginx|check|renew) +#", shown)) == 3
    assert box.token not in shown
    assert GLOBAL_KEY not in shown
    found = load(file)
    assert found.specs[0].domains == ("example.com", "*.example.com")
    assert (found.acme.email, found.acme.server) == ("a@b.de", "letsencrypt-staging")
    token = found.dns.token_file
    assert token is not None
    assert (token.read_text(), token.stat().st_mode & 0o777) == (f"{box.token}\n", 0o600)


@pytest.mark.parametrize("key", ["\x03", "\x04"])
@pytest.mark.parametrize("answers", [(), ("a.example.com\n", "\n")])
def test_leaving_in_the_middle_leaves_nothing(key: str, answers: tuple[str, ...], tmp_path: Path) -> None:
    questions = ("Domains", "E-mail address", "Token (")
    with Terminal("-c", str(tmp_path / "etc" / "renewer.toml"), "init") as terminal:
        for question, answer in zip(questions, answers, strict=False):
            terminal.sees(question).types(answer)
        assert terminal.sees(questions[len(answers)]).presses(key) == 1
        assert "nothing was written" in terminal.shown
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_it_says_what_is_missing(tmp_path: Path) -> None:
    done = call("-c", tmp_path / "renewer.toml", "init")
    assert (done.returncode, done.stdout) == (78, "")
    assert missing(done.stderr.splitlines()[0], "terminal", "--domain") == []


def test_from_options_with_a_token_that_is_there(box: Sandbox, tmp_path: Path) -> None:
    file, token, nginx = tmp_path / "renewer.toml", tmp_path / "token", tmp_path / "nginx.conf"
    nginx.touch()
    token.write_text(f"{box.token}\n")
    token.chmod(0o600)
    options = ["--domain", "example.org", "--email", "a@b.de", "--staging", "--token-file", token]
    done = call("-c", file, "init", *options, "--base-url", box.api_url, "--nginx-config", nginx)
    assert done.returncode == 0
    assert re.search("^token: active.*example.com", done.stdout, re.MULTILINE)
    (told,) = done.stderr.splitlines()
    assert missing(told, "token: ", "zone", "example.org") == []
    assert load(file).nginx.config == nginx
    assert "/dev/stdin" not in done.stdout
    text = file.read_bytes()
    again = call("-c", file, "init", "--domain", "example.com")
    assert (again.returncode, again.stdout) == (1, "")
    assert missing(again.stderr, file, "exists") == []
    assert file.read_bytes() == text
    assert token.read_text() == f"{box.token}\n"


def test_a_token_that_cannot_be_asked_for_is_told(box: Sandbox, tmp_path: Path) -> None:
    file, place = tmp_path / "renewer.toml", tmp_path / "cloudflare.token"
    place.write_text(box.token)
    place.chmod(0o600)
    done = call("-c", file, "init", "--domain", "example.com", "--base-url", "http://127.0.0.1:1/")
    assert done.returncode == 0
    assert "cannot be reached" in done.stderr
    assert load(file).specs


@pytest.mark.parametrize("state", ["unknown", "disabled"])
def test_a_token_that_cloudflare_refuses_stops_it(state: str, box: Sandbox, tmp_path: Path) -> None:
    file, place = tmp_path / "renewer.toml", tmp_path / "cloudflare.token"
    box.tokens["d" * 40] = Token(("example.com",), status="disabled")
    place.write_text(("x" if state == "unknown" else "d") * 40)
    place.chmod(0o600)
    done = call("-c", file, "init", "--domain", "example.com", "--base-url", box.api_url)
    assert done.returncode == 1
    assert ("Cloudflare said" if state == "unknown" else "token is disabled") in done.stderr
    assert "nothing was written\n" in done.stderr
    assert missing(done.stderr, place, "--token-file") == []
    assert not file.exists()


def test_without_a_terminal_it_says_where_the_token_goes(tmp_path: Path) -> None:
    done = call("-c", tmp_path / "renewer.toml", "init", "--domain", "example.com")
    assert done.returncode == 0
    place = tmp_path / "cloudflare.token"
    assert re.search(f"^token: .*{re.escape(str(place))}$", done.stdout, re.MULTILINE)
    first = done.stdout.partition("Next:\n")[2].splitlines()[0]
    assert missing(first, f"install -D -m 600 /dev/stdin {place}   # ", "Ctrl-D") == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--staging", "--server", "https://ca.example/"), "--staging and --server"),
        (("--nginx-config", "/no/nginx.conf"), "--nginx-config: /no/nginx.conf does not exist"),
    ],
)
def test_options_that_cannot_be_meant(options: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    done = call("-c", tmp_path / "renewer.toml", "init", "--domain", "example.com", *options)
    assert (done.returncode, sentence in done.stderr) == (78, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("token", "mode", "sentence"),
    [
        ("a b\n", 0o600, "has a space"),
        (GLOBAL_KEY, 0o600, "Global API Key"),
        ("x" * 40, 0o644, "other users"),
    ],
)
def test_a_token_of_the_wrong_shape_stops_it(token: str, mode: int, sentence: str, tmp_path: Path) -> None:
    place = tmp_path / "cloudflare.token"
    place.write_text(token)
    place.chmod(mode)
    done = call("-c", tmp_path / "renewer.toml", "init", "--domain", "example.com")
    assert done.returncode == 78
    assert sentence in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cloudflare.token"]
