"""The hook that runs an administrator's program once nginx serves new files (`[[hook.command]]`).

It uses no shell and passes no secret: the program gets the configured arguments, and the names of what
changed in its environment. Its output is shown only if it fails: the last line, without anything that looks
like a secret.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from renewer.core.errors import HookFailed, LockBusy, RenewerError
from renewer.core.hook import Deployed
from renewer.notify import redaction
from renewer.system import files, permissions, process, safe_paths


@dataclass(frozen=True)
class CommandHook:
    """One `[[hook.command]]`; `name` is its place in the configuration."""

    name: str
    argv: tuple[str, ...]
    timeout: timedelta
    state: Path

    @property
    def key(self) -> str:
        """The key under which its state is stored; with other arguments it is another hook."""
        return hashlib.sha256("\0".join(self.argv).encode()).hexdigest()[:16]

    @property
    def what(self) -> str:
        """The program to run."""
        return self.argv[0]

    def run(self, news: Deployed) -> None:
        """Run the program; raises `HookFailed` if it cannot be run, fails or takes too long.

        Raises `LockBusy` if it is still running for a cycle that was killed.
        """
        argv, limit = (self.program(), *self.argv[1:]), self.timeout.total_seconds()
        with self._alone() as lock:
            try:
                ended = process.run(argv, limit, self._environment(news), handed=(lock,))
            except RenewerError as error:
                raise HookFailed(str(error), hint=error.hint) from error
        if ended.code:
            how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"failed with {ended.code}"
            said = redaction.last_line(ended.output)
            raise HookFailed(
                f"{self.what} {how}{f': {said}' if said else ''}",
                hint="nginx serves the new files; run the hook by hand to see why. The next run tries again",
            )

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Prevent a second run of the program; it inherits the lock and keeps it if this process is killed.

        Processes it leaves behind do not keep it: the lock is released for every holder.
        """
        locks = self.state / "lock"
        files.folder(locks)
        handle = files.lock(locks / f"hook.{self.key}")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield handle
        except BlockingIOError:
            raise LockBusy(
                f"{self.what} is still running for an earlier cycle, which was killed",
                hint="wait until it finishes, or stop it; the next run tries again",
            ) from None
        finally:
            files.let_go(handle)

    def _environment(self, news: Deployed) -> dict[str, str]:
        return {
            "RENEWER_CERTIFICATES": " ".join(sorted(news.certificates)),
            "RENEWER_SITES": " ".join(sorted(news.sites)),
            "RENEWER_STATE": str(self.state),
        }

    def program(self) -> str:
        """Return the program's path; raises `HookFailed` if it is missing, or other users can change it."""
        path = shutil.which(self.what, path=process.PATH)
        if path is None:
            hint = "install it, make it executable, or correct argv in the configuration"
            raise HookFailed(f"{self.what} does not exist or is not a program", hint=hint)
        try:
            found = safe_paths.stranger(path)
        except OSError as error:
            raise HookFailed(f"{path} cannot be checked: {(error.strerror or str(error)).lower()}") from error
        if found and Path(found).is_dir():
            why = f"{path} is not run, because other users can replace it in a folder above"
            raise HookFailed(why, hint=permissions.alone(Path(path)))
        if found:
            why = f"{path} is not run, because other users can write it"
            raise HookFailed(why, hint=permissions.alone(Path(path)))
        return path
