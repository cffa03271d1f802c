"""Other ACME clients on this machine."""

import json
import shlex
from pathlib import Path

import pytest
from support.facts import missing
from support.scene import put, scene, told

from renewer.check import (
    other_clients,
)


@pytest.mark.parametrize(
    ("path", "text", "client"),
    [
        ("etc/letsencrypt/renewal/example.com.conf", "cert = /nowhere/cert.pem\n", "certbot"),
        (
            "root/.acme.sh/x_ecc/x.conf",
            "Le_Domain='x.example'\nLe_Alt='*.example.com,y'\n",
            "acme.sh",
        ),
        ("home/me/.lego/certificates/x.json", json.dumps({"domain": "www.example.com"}), "lego"),
        ("data/letsencrypt/renewal/example.com.conf", "", "Nginx Proxy Manager"),
    ],
)
def test_another_client_with_the_same_names(tmp_path: Path, path: str, text: str, client: str) -> None:
    put(tmp_path / path, text)
    (found,) = other_clients.look(scene(tmp_path))
    assert missing(found.what, client, "example.com", f"/{path}") == []
    assert "nothing" in found.why
    units = {"certbot": "certbot.timer", "lego": "lego.timer"}
    if client in units:
        put(tmp_path / "etc/systemd/system/timers.target.wants" / units[client])
        (found,) = other_clients.look(scene(tmp_path))
        assert units[client] in found.why


def test_a_foreign_name_that_is_no_domain_is_in_no_command(tmp_path: Path) -> None:
    put(
        tmp_path / "root/.acme.sh/x/x.conf",
        "Le_Domain='$(touch pwned;).example.com'\nLe_Alt='*.example.com'\n",
    )
    (found,) = other_clients.look(scene(tmp_path))
    assert shlex.split(found.hint)[:4] == ["acme.sh", "--remove", "-d", "example.com;"]
    assert "pwned" not in f"{found}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/letsencrypt/renewal/other.example.conf", ""),
        ("root/.acme.sh/x/x.conf", "Le_Domain='notexample.com'\nLe_Alt='no'\n"),
        ("root/.lego/certificates/x.json", "no json"),
        ("root/.lego/certificates/x.json", "[]"),
        ("etc/dehydrated/certs/example.com/cert.pem", "no certificate"),
    ],
)
def test_another_client_with_other_names_is_no_rival(tmp_path: Path, path: str, text: str) -> None:
    put(tmp_path / path, text)
    assert told(other_clients.look(scene(tmp_path))) == [("others.rival", "ok")]
