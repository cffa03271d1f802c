"""`renewer import`, run by root on the folder of a user who means harm: only what is his own is read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import certs
from support.hostile import attacker

from renewer.core.errors import Refused
from renewer.migrate import acme_sh, certbot, folder
from renewer.migrate.model import Estate

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another user attacks root")

NAME = "example.com"
KEY, CHAIN = certs.CA.issue((NAME,), certs.NOW, certs.NOW.replace(year=certs.NOW.year + 1))
TOKEN = "a-token-that-is-as-long-as-they-are-usually"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a folder of the attacker's as certbot leaves it, with live leading into archive."""
    top = tmp_path / "letsencrypt"
    for inner in (f"live/{NAME}", f"archive/{NAME}", "renewal"):
        (top / inner).mkdir(parents=True)
    (top / f"renewal/{NAME}.conf").write_text("server = https://ca.example/\n")
    for name, text in {"privkey": KEY, "fullchain": CHAIN}.items():
        (top / f"archive/{NAME}/{name}1.pem").write_text(text)
        (top / f"live/{NAME}/{name}.pem").symlink_to(f"../../archive/{NAME}/{name}1.pem")
    for path in (top, *top.rglob("*")):
        attacker.own(path)
    return top


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir(mode=0o700)
    path = tmp_path / "secret" / "ca.key"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


def read(top: Path) -> Estate:
    return certbot.read(folder.opened(top), "")


def trouble(top: Path) -> str:
    """Return why the certificate is not taken."""
    (told,) = [str(one.error) for one in read(top).troubles if one.subject == NAME]
    return told


def live(top: Path, harm: Callable[[int], object]) -> None:
    """Let the attacker put something else in the place of his key."""

    def without(handle: int) -> None:
        os.unlink("privkey.pem", dir_fd=handle)
        harm(handle)

    attacker.acts(top / "live" / NAME, without)


def test_links_within_the_folder_are_followed(theirs: Path) -> None:
    (one,) = read(theirs).lineages
    assert (one.name, one.key, one.chain) == (NAME, KEY, CHAIN)
    target = str(theirs / "archive" / NAME / "privkey1.pem")
    live(theirs, lambda handle: os.symlink(target, "privkey.pem", dir_fd=handle))
    assert [one.key for one in read(theirs).lineages] == [KEY]


def test_a_folder_of_root_s_may_have_files_with_two_names(theirs: Path, tmp_path: Path) -> None:
    for path in (theirs, *theirs.rglob("*")):
        os.lchown(path, 0, 0)
    os.link(theirs / f"archive/{NAME}/privkey1.pem", tmp_path / "backup")
    assert [one.key for one in read(theirs).lineages] == [KEY]


HARM: dict[str, Callable[[int, str], object]] = {
    "a link to a key of root's": lambda handle, secret: os.symlink(secret, "privkey.pem", dir_fd=handle),
    "a link above": lambda handle, secret: os.symlink(
        f"../../../secret/{Path(secret).name}", "privkey.pem", dir_fd=handle
    ),
    "a pipe": lambda handle, _: os.mkfifo("privkey.pem", dir_fd=handle),
    "zeros": lambda handle, _: os.symlink("/dev/zero", "privkey.pem", dir_fd=handle),
    "a circle": lambda handle, _: os.symlink("privkey.pem", "privkey.pem", dir_fd=handle),
    "a terabyte": lambda handle, _: os.truncate(
        os.open("privkey.pem", os.O_RDWR | os.O_CREAT, dir_fd=handle), 1 << 40
    ),
}


@pytest.mark.parametrize("what", HARM)
def test_what_leads_out_or_has_no_end_is_refused(theirs: Path, secret: Path, what: str) -> None:
    live(theirs, lambda handle: HARM[what](handle, str(secret)))
    assert read(theirs).lineages == []
    assert trouble(theirs)


def test_a_second_name_of_root_s_key_is_refused(theirs: Path, secret: Path) -> None:
    live(theirs, lambda _: None)
    os.link(secret, theirs / "live" / NAME / "privkey.pem")  # as he can without fs.protected_hardlinks
    assert "belongs to root" in trouble(theirs)


def test_what_is_a_third_user_s_is_refused(theirs: Path) -> None:
    os.chown(theirs / f"archive/{NAME}/privkey1.pem", attacker.UID + 1, 0)
    assert f"belongs to #{attacker.UID + 1}" in trouble(theirs)


def test_a_folder_swapped_for_another_user_s_is_refused(theirs: Path) -> None:
    place = folder.opened(theirs)
    theirs.rename(theirs.with_name("away"))
    theirs.mkdir()
    with pytest.raises(Refused):
        place.names("live")


def test_no_link_of_theirs_leads_to_another_folder(theirs: Path, secret: Path) -> None:
    target = str(secret.parent)
    attacker.acts(theirs, lambda handle: os.symlink(target, "elsewhere", dir_fd=handle))
    with pytest.raises(Refused):
        folder.opened(theirs / "elsewhere")


def test_a_token_that_he_cannot_read_is_not_read_for_him(theirs: Path, secret: Path) -> None:
    secret.write_text(f"dns_cloudflare_api_token = {TOKEN}\n")
    (theirs / f"renewal/{NAME}.conf").write_text(f"dns_cloudflare_credentials = {secret}\n")
    token = read(theirs).token
    assert token is not None
    assert (token.value, "belongs to root" in token.refused) == ("", True)
    os.chown(theirs, 0, 0)
    for path in theirs.rglob("*"):
        os.lchown(path, 0, 0)
    token = read(theirs).token
    assert token is not None
    assert token.value == TOKEN


def test_acme_sh_s_home_of_another_user_is_read_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / ".acme.sh"
    (home / NAME).mkdir(parents=True)
    (home / NAME / f"{NAME}.conf").write_text("Le_API='https://ca.example/'\n")
    (home / NAME / f"{NAME}.key").write_text(KEY)
    (home / NAME / "fullchain.cer").write_text(CHAIN)
    for path in (home, *home.rglob("*")):
        attacker.own(path)
    assert [one.key for one in acme_sh.read(folder.opened(home), "").lineages] == [KEY]


def test_what_is_read_altogether_has_an_end(theirs: Path) -> None:
    place = folder.opened(theirs, allowance=folder.Budget(size=10))
    with pytest.raises(Refused):
        place.text("renewal", f"{NAME}.conf")
