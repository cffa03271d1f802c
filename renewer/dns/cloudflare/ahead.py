"""The API's library, loaded in a thread while the CA is asked: that takes as long."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from renewer.dns.cloudflare.calls import Answer, Calls


class Ahead:
    """`Calls` that are built when `begin` is called, or the first is made; they raise what building does."""

    def __init__(self, build: Callable[[], Calls]) -> None:
        self._build = build
        self._built: Future[Calls] | None = None
        self._guard = threading.Lock()

    def begin(self) -> "Future[Calls]":
        """Begin to build them unless somebody has."""
        with self._guard:
            if self._built is None:
                self._built = Future()
                try:
                    threading.Thread(target=self._fulfil, args=(self._built,)).start()
                except RuntimeError:  # no more threads are allowed
                    self._fulfil(self._built)
            return self._built

    def get(self, path: str, query: Mapping[str, str | int]) -> Answer:
        """See `Calls`."""
        return self._calls().get(path, query)

    def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """See `Calls`."""
        return self._calls().post(path, body)

    def _calls(self) -> Calls:
        built = self.begin()
        if error := built.exception():
            raise error
        return built.result()

    def _fulfil(self, built: "Future[Calls]") -> None:
        try:
            built.set_result(self._build())
        except BaseException as error:  # noqa: BLE001 - who makes a call raises it
            built.set_exception(error)
