"""A real ACME server for the sandbox: Let's Encrypt's pebble, behind a certificate made for it here."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPSConnection
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PATIENCE = 15.0
START_TRIES = 3


class PebbleError(Exception):
    """pebble is not there, or did not start."""


@dataclass(frozen=True)
class Habits:
    """How pebble behaves; None leaves pebble's own default.

    `validity` is that of the certificates it issues, `nonce_reject` and `authz_reuse` are percentages, `eab`
    has the MAC keys (base64url) by key id, one of which a new account must show.
    """

    validity: timedelta | None = None
    nonce_reject: int | None = None
    authz_reuse: int | None = None
    eab: Mapping[str, str] | None = None


class Pebble:
    """One pebble, from `with` until its end; all its files are in `folder`.

    `directory` is its URL, `ca_bundle` what to trust for talking to it, `roots` what to trust for the
    certificates that it issues (pebble makes a new root at each start), `log` what it says.
    """

    def __init__(self, folder: Path, dns_server: str, habits: Habits | None = None) -> None:
        self.folder = folder
        self.ca_bundle = folder / "ca.pem"
        self.roots = folder / "roots.pem"
        self.log = folder / "pebble.log"
        self.port = 0
        self.management_port = 0
        self._dns_server = dns_server
        self._habits = habits or Habits()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> str:
        """The URL of the ACME directory."""
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        _make_tls(self.folder)
        for _ in range(START_TRIES - 1):
            # Somebody else may bind a port between its choice and pebble's start.
            with suppress(PebbleError):
                return self._start()
        return self._start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End pebble, by force if it does not go by itself."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self) -> Self:
        self.port, self.management_port = _free_ports(2)
        self._write_config()
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._process = self._spawn()
            self._wait_for(self.port, "/dir")
            self.roots.write_bytes(self._wait_for(self.management_port, "/roots/0"))
            undo.pop_all()
        return self

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = shutil.which("pebble")
        if program is None:
            raise PebbleError("pebble is not installed: apt install pebble")
        # Strict mode is for changes that no CA has made yet; what Let's Encrypt does is the default.
        argv = [program, "-config", str(self.folder / "pebble.json"), "-dnsserver", self._dns_server]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
            )

    def _environment(self) -> dict[str, str]:
        settings = {
            "PEBBLE_VA_NOSLEEP": 1,
            "PEBBLE_WFE_NONCEREJECT": self._habits.nonce_reject,
            "PEBBLE_AUTHZREUSE": self._habits.authz_reuse,
        }
        return dict(os.environ) | {name: str(value) for name, value in settings.items() if value is not None}

    def _write_config(self) -> None:
        config: dict[str, object] = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(self.folder / "tls.pem"),
            "privateKey": str(self.folder / "tls.key"),
            "httpPort": 5002,
            "tlsPort": 5001,
            "ocspResponderURL": "",
        }
        if self._habits.validity is not None:
            config["certificateValidityPeriod"] = int(self._habits.validity.total_seconds())
        if self._habits.eab:
            config["externalAccountBindingRequired"] = True
            config["externalAccountMACKeys"] = dict(self._habits.eab)
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": config}, indent=2))

    def _wait_for(self, port: int, path: str) -> bytes:
        """Return what pebble says there, as soon as it does."""
        deadline = time.monotonic() + PATIENCE
        while (body := self._get(port, path)) is None:
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-500:]
                raise PebbleError(f"pebble did not start: {tail}")
            time.sleep(0.02)
        return body

    def _get(self, port: int, path: str) -> bytes | None:
        """Return what pebble says there, None if it does not listen yet."""
        trust = ssl.create_default_context(cafile=str(self.ca_bundle))
        connection = HTTPSConnection("127.0.0.1", port, context=trust, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()
        return body if response.status == 200 else None  # noqa: PLR2004  # HTTP's OK


def _free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago; whoever binds them must be ready to try again."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _make_tls(folder: Path) -> None:
    """Write a CA (ca.pem) and a certificate of it (tls.pem, tls.key) for pebble's own listener."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "renewer sandbox")])
    ca = _template(ca_name, ca_name, ca_key, ca_key)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(_usage(signs_certificates=True), critical=True)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    leaf = _template(name, ca_name, key, ca_key)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(signs_certificates=False), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    here = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    leaf = leaf.add_extension(x509.SubjectAlternativeName(here), critical=False)
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "tls.pem").write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _template(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    by_signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(by_signer, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
