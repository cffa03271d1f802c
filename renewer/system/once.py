"""A value that many need and one builds."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Once(Generic[Value]):
    """A value that is built when it is first needed, by one thread while the others wait.

    A failed build is raised to all that wait for it, and tried again by whoever asks next; with `lasting` its
    error is raised to everybody from then on.
    """

    def __init__(self, build: Callable[[], Value], *, lasting: bool = False) -> None:
        self._build = build
        self._lasting = lasting
        self._built: Future[Value] | None = None
        self._guard = threading.Lock()

    def __call__(self) -> Value:
        """Return the value; raises what building it does."""
        built, mine = self._claim()
        if mine:
            self._fulfil(built)
        return built.result()

    def begin(self) -> None:
        """Build the value ahead, in a thread of its own; what goes wrong is raised to who asks for it."""
        built, mine = self._claim()
        if mine:
            try:
                threading.Thread(target=self._fulfil, args=(built,)).start()
            except RuntimeError:  # no more threads are allowed
                self._fulfil(built)

    def _claim(self) -> "tuple[Future[Value], bool]":
        """Return what holds the value, and whether it is this thread's to build."""
        with self._guard:
            mine = self._built is None
            built = self._built = self._built or Future()
        return built, mine

    def _fulfil(self, built: "Future[Value]") -> None:
        try:
            built.set_result(self._build())
        except BaseException as error:  # noqa: BLE001 - all that wait for it raise it
            if not self._lasting:
                self._built = None
            built.set_exception(error)
