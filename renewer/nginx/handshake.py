"""The TLS handshake that shows which certificate nginx serves; it verifies nothing."""

import hashlib
import socket
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from renewer.core.model import Fingerprint
from renewer.nginx.targets import Target

if TYPE_CHECKING:
    from ssl import SSLContext

LIMIT = 2.0
"""Seconds for the connection, and again for each step of the handshake."""

_PROXY = b"PROXY UNKNOWN\r\n"
"""The header of a proxy that knows nothing of the client (PROXY protocol, version 1)."""


@dataclass(frozen=True)
class HandshakeResult:
    """The result of a handshake: a fingerprint, or the reason why there is none."""

    fingerprint: Fingerprint | None
    reason: str = ""


def handshake(target: Target) -> HandshakeResult:
    """Return the certificate served there; an error is a result, too."""
    try:
        certificate = _certificate(target)
    except TimeoutError:
        return HandshakeResult(None, f"no answer within {LIMIT:g} s")
    except OSError as error:
        return HandshakeResult(None, _words(error))
    if not certificate:
        return HandshakeResult(None, "no certificate")
    return HandshakeResult(Fingerprint(hashlib.sha256(certificate).hexdigest()))


def _certificate(target: Target) -> bytes | None:
    with socket.create_connection((target.host, target.port), timeout=LIMIT) as plain:
        if target.proxy_protocol:
            plain.sendall(_PROXY)
        with _context().wrap_socket(plain, server_hostname=target.name) as wrapped:
            return wrapped.getpeercert(binary_form=True)


@cache
def _context() -> "SSLContext":
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # The server may be set up for old clients; nothing secret is sent.
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _words(error: OSError) -> str:
    """Return OpenSSL's reason in words, or the system's."""
    reason = getattr(error, "reason", None)
    return str(reason or error.strerror or error).replace("_", " ").lower()
