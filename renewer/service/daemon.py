"""The daemon, on `apscheduler`: a lean parent that keeps time and starts `renew` as a worker process.

No cycle and no reading of the configuration happens in this process: keys and nonces do not age in memory, a
crash in a cycle cannot stop the clock, and while idle it holds little more than the scheduler.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from renewer.core.errors import ConfigError, RenewerError, Transient
from renewer.core.interfaces import Report
from renewer.core.timefmt import exactly
from renewer.engine.idle.index import HANDED
from renewer.service.accepted import RENEWER, Accepted, ConfigurationReader, accept
from renewer.service.watched import Watched
from renewer.store.files import FileStore
from renewer.system.console import Lines, Quiet, speak_for_all
from renewer.system.sd_notify import notify, watched
from renewer.system.signals import Signals

HEARTBEAT = 60
"""Seconds; the longest that a suspend or a clock change delays a cycle. It also feeds the watchdog."""

LOOK = timedelta(minutes=30)
"""The longest time between two workers, whatever is planned; a worker without work ends quickly."""

GRACE = 4.0
"""Seconds a worker gets to finish its step when the daemon is asked to stop."""

GAP = timedelta(seconds=5)
"""The shortest time between two cycles, whatever is due."""

AFTER_A_CRASH = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10))
"""Waits after the first, second, … worker in a row that ended without an answer; the last one repeats."""

LAST_WORDS = timedelta(minutes=2)
"""How long the notification of a killed worker may take before it is killed, too."""


class Daemon:
    """Runs a cycle at once, then whenever one is due.

    `read` checks the configuration as `accept` does. A change of `file`, the configuration, is noticed at
    each heartbeat and before each cycle.
    """

    def __init__(self, read: ConfigurationReader, report: Report, file: str) -> None:
        self._signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        self._read, self._refused = read, False
        self._report = report
        self._file = Watched(file)
        self._config = read(quiet=False)
        self._due = _now()
        self._crashes = 0
        self._distance = _distance()
        self._worker: subprocess.Popen[str] | None = None
        self._working = threading.Lock()
        self._starting = threading.Lock()
        self._reading = threading.Lock()
        self._ending = False
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 2},
        )

    @property
    def state(self) -> Path:
        """The state folder."""
        return self._config.state

    def run(self) -> None:
        """Keep time until SIGTERM or SIGINT; SIGHUP reads the configuration again at once."""
        self._scheduler.start()
        self._plan(_now())
        notify("READY=1", "WATCHDOG=1")
        while (asked := self._signals.wait_for(watched(HEARTBEAT))) in {None, signal.SIGHUP}:
            if asked:
                self._reload()
            else:
                self._beat()
        notify("STOPPING=1", "STATUS=stopping")
        self._scheduler.pause()
        self._end_worker()

    def _beat(self) -> None:
        """Feed the watchdog, and run a cycle that the scheduler slept through.

        A clock change or a suspend shifts the wall clock against the monotonic one. The scheduler uses the
        wall clock, so this is not one of its jobs: after the clock was set back, it would run a day late.
        """
        notify("WATCHDOG=1")
        before, self._distance = self._distance, _distance()
        if _now() >= self._due or abs(self._distance - before) > HEARTBEAT:
            self._scheduler.add_job(self._cycle)
        if self._look():
            self._plan(_now())

    def _cycle(self) -> None:
        """Run a worker, unless one is running, and plan the next."""
        if not self._working.acquire(blocking=False):
            return
        try:
            self._look()
            config = self._config
            notify("STATUS=running a cycle")
            due = max(self._work(config), _now() + GAP)
        finally:
            self._working.release()
        self._plan(due)
        if (
            config is not self._config
        ):  # the configuration was read again, and the plan made then may just have been replaced
            self._plan(_now())

    def _plan(self, due: datetime) -> None:
        self._due = due
        self._scheduler.add_job(self._cycle, "date", run_date=due, id="cycle", replace_existing=True)
        notify(f"STATUS=next cycle at {exactly(due)}")

    def _work(self, config: Accepted) -> datetime:
        """Run one cycle in a worker process; return when the next one is due."""
        late = f"a cycle took more than {config.deadline} and was killed"
        code, answer = self._run(config, config.deadline, late, "renew", "--json")
        if code < 0:  # it was killed, and could not send its notifications
            self._run(config, LAST_WORDS, "the notification of a killed cycle took too long", "lost")
        return self._next(answer)

    def _run(self, config: Accepted, deadline: timedelta, late: str, *arguments: str) -> tuple[int, str]:
        """Run the program; return its exit code (minus the signal that killed it) and its output."""
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        environment[HANDED] = config.handed
        command = (*RENEWER, "--verbose", "--config", "-", *arguments)
        with self._starting:
            if self._ending:
                return 0, ""
            self._worker = subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment
            )
        with self._worker as worker:
            try:
                answer, _ = worker.communicate(config.text, timeout=deadline.total_seconds())
            except subprocess.TimeoutExpired:
                worker.kill()
                answer = ""
                self._report.problem("renewer", late)
        return worker.returncode, answer

    def _next(self, answer: str) -> datetime:
        """Return when the next cycle is due: what the worker says or, if it says nothing, a little later."""
        try:
            due = min([*_planned(answer), _now() + LOOK])
        except (KeyError, TypeError, ValueError):
            self._crashes += 1
            return _now() + AFTER_A_CRASH[min(self._crashes, len(AFTER_A_CRASH)) - 1]
        self._crashes = 0
        return due

    def _reload(self) -> None:
        """Read the configuration again, changed or not."""
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "WATCHDOG=1")
        with self._reading:
            self._file.changed()
            taken = self._take(asked=True)
        if taken:
            self._plan(_now())
        notify("READY=1", "WATCHDOG=1")

    def _look(self) -> bool:
        """Load the file if it has changed; return whether a different configuration is now in force.

        A rejected one is read again, quietly, because a file it names may have been fixed. If another thread
        is already here, leave it to that one.
        """
        if self._ending or not self._reading.acquire(blocking=False):
            return False
        try:
            if self._file.changed():
                return self._take()
            return self._refused and self._take(quiet=True)
        finally:
            self._reading.release()

    def _take(self, *, asked: bool = False, quiet: bool = False) -> bool:
        """Load the configuration or, if it is faulty, keep the old one; return whether a new one is in force.

        If the file changes again between the notice and this check, the next notice finds nothing new and
        reports nothing. A requested reload is always reported.
        """
        try:
            found = self._read(quiet=quiet)
            self._refuse_another_state(found)
        except RenewerError as error:
            if not quiet:  # it was reported the first time
                self._keep(error)
            return False
        new = asked or self._refused or found.text != self._config.text
        self._config, self._refused = found, False
        if new:
            self._report.done("renewer", "the new configuration is in force")
        return new

    def _keep(self, error: RenewerError) -> None:
        """Report why the old configuration stays in force."""
        if isinstance(error, Transient):  # the new one could not be checked yet
            self._file.forget()
        self._refused = True
        self._report.problem("renewer", f"the old configuration stays in force: {error}", error.hint)

    def _refuse_another_state(self, found: Accepted) -> None:
        """Raise `ConfigError` for another state folder: the lease is held on the old one."""
        if found.state != self.state:
            raise ConfigError(
                f"the state folder is now {found.state} instead of {self.state}, which requires a restart",
                hint="run: systemctl restart renewer",
            )

    def _end_worker(self) -> None:
        """Let the worker finish its step; the next run completes what it cannot finish in time."""
        with self._starting:
            self._ending = True
            worker = self._worker
        if worker is None or worker.poll() is not None:
            return
        worker.terminate()
        if self._working.acquire(timeout=GRACE):
            return
        worker.kill()


def main() -> NoReturn:
    """Run the daemon for the configuration on the command line; `renewer run` execs this."""
    speak_for_all()
    report = Lines()
    try:
        file = sys.argv[1]
        daemon = Daemon(partial(accept, file), report, file)
        with FileStore(daemon.state).lease("daemon", LOOK):
            daemon.run()
    except ConfigError as error:
        sys.exit(error.exit_code)  # the check has reported the fault
    except RenewerError as error:
        sys.exit(_last_words(error))
    sys.exit(0)


def _last_words(error: RenewerError) -> int:
    Quiet().problem("renewer", str(error), error.hint)
    return error.exit_code


def _planned(answer: str) -> list[datetime]:
    """Return the times when something is due; raises KeyError, TypeError or ValueError if there are none.

    A worker that stopped before its cycle answers only with an `error`.
    """
    found = json.loads(answer)
    if "error" in found:
        raise ValueError(found["error"])
    every = (*found["certificates"], *found["sites"], *found.get("hooks", ()))
    return [datetime.fromisoformat(one["next"]) for one in every if one["next"]]


def _distance() -> float:
    return time.time() - time.monotonic()


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
