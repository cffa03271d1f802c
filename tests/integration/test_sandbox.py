"""The sandbox with a real pebble, in this process and as one of its own."""

import json
import os
import ssl
import subprocess
import sys
import tomllib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest
from acme import challenges, errors, messages
from acme.client import ClientNetwork, ClientV2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"


def get(url: str, trust: Path) -> tuple[int, bytes]:
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=str(trust))
    connection = HTTPSConnection(str(parts.hostname), parts.port, context=context, timeout=5)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_pebble_starts_answers_over_tls_and_stops(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as box:
        status, body = get(box.directory, box.ca_bundle)
        assert status == 200
        assert "newOrder" in json.loads(body)
        assert x509.load_pem_x509_certificate(box.roots.read_bytes()).subject
        assert tomllib.loads(box.toml(tmp_path / "state"))["acme"]["server"] == box.directory
        pid = box.pebble.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_account_needs_the_binding_where_one_is_asked_for(tmp_path: Path) -> None:
    key = urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()
    with Sandbox(tmp_path, eab={"kid-1": key}) as box:
        _, body = get(box.directory, box.ca_bundle)
        assert json.loads(body)["meta"]["externalAccountRequired"] is True


@pytest.fixture
def account(tmp_path: Path) -> Iterator[tuple[Sandbox, ClientV2, JWKEC]]:
    """A sandbox whose certificates live for a minute, and an account at its CA."""
    with Sandbox(tmp_path, validity=timedelta(seconds=60), nonce_reject=0) as box:
        key = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        # requests takes a bundle's path here as well, whatever acme's annotation says.
        network = ClientNetwork(key, alg=ES256, verify_ssl=cast("bool", str(box.ca_bundle)))
        acme = ClientV2(ClientV2.get_directory(box.directory, network), network)
        acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        yield box, acme, key
        network.session.close()


def signing_request(*names: str) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    wanted = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    key = ec.generate_private_key(ec.SECP256R1())
    request = builder.add_extension(wanted, critical=False).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def answer(acme: ClientV2, order: messages.OrderResource, key: JWKEC, box: Sandbox) -> None:
    """Put the TXT record of each authorization into the zone, then answer its challenge."""
    for authorization in order.authorizations:
        for one in authorization.body.challenges:
            if isinstance(one.chall, challenges.DNS01):
                value = one.chall.validation(key)
                name = one.chall.validation_domain_name(authorization.body.identifier.value)
                box.zones["example.com"].add(name, "TXT", f'"{value}"')
                acme.answer_challenge(one, one.chall.response(key))


def test_pebble_sees_the_records_and_issues_for_a_minute(account: tuple[Sandbox, ClientV2, JWKEC]) -> None:
    box, acme, key = account
    order = acme.new_order(signing_request("example.com", "*.example.com"))
    answer(acme, order, key, box)
    done = acme.poll_and_finalize(order)
    leaf, issuer = x509.load_pem_x509_certificates(done.fullchain_pem.encode())
    root = x509.load_pem_x509_certificate(box.roots.read_bytes())
    issuer.verify_directly_issued_by(root)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(seconds=59)
    assert len(box.records()) == 2
    assert "TXT" in {question.type for question in box.recursor.questions}


def test_a_ca_that_is_told_too_early_says_no(account: tuple[Sandbox, ClientV2, JWKEC]) -> None:
    box, acme, key = account
    box.nameservers[1].delay = 30.0
    order = acme.new_order(signing_request("example.com"))
    answer(acme, order, key, box)
    with pytest.raises(errors.ValidationError) as caught:
        acme.poll_and_finalize(order)
    assert caught.value.failed_authzrs


@pytest.mark.parametrize("how", [[str(EXAMPLES / "sandbox")], ["-m", "sandbox"]])
def test_it_runs_as_a_process_until_it_is_told_to_end(tmp_path: Path, how: list[str]) -> None:
    options = ["--zone", "example.net", "--delays", "0,0.1", "--latency", "0.01", "--validity", "90"]
    argv = [sys.executable, *how, str(tmp_path), *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=EXAMPLES) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("sandbox: ready")
            facts = json.loads((tmp_path / "sandbox.json").read_text())
            written = tomllib.loads((tmp_path / "sandbox.toml").read_text())
            assert get(facts["directory"], Path(facts["ca_bundle"]))[0] == 200
            assert written["acme"]["server"] == facts["directory"]
            assert list(facts["zones"]) == ["example.net"]
        finally:
            process.terminate()
        assert process.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        get(facts["directory"], Path(facts["ca_bundle"]))
