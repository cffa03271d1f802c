"""What the real certbot and lego made, and a home of acme.sh, taken over: nothing fresh is ordered."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.world import NAME, ROOT, Done, World

CERTBOT = ("certbot==5.8.0", "certbot-dns-cloudflare==5.8.0")
FOREIGN = ("CLOUDFLARE_", "REQUESTS_", "LEGO_", "PYTHON")


@pytest.fixture(scope="session")
def certbot() -> Path:
    """The real certbot, in an environment of its own that is made once for a checkout."""
    home = ROOT / ".venv" / CERTBOT[0]
    with (ROOT / ".venv" / "certbot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "made").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            pip = [home / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            locked = (ROOT / "tests" / "constraints.txt").read_text()
            versions = home / "versions.txt"  # without hashes: certbot's own packages are not locked
            versions.write_text("\n".join(re.findall(r"^[a-z]\S+==\S+", locked, re.MULTILINE)))
            subprocess.run([*pip, "--constraint", versions, *CERTBOT], check=True)
            (home / "made").touch()
    return home / "bin" / "certbot"


@pytest.fixture
def world(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose CA takes everybody's word, and in which renewer has no configuration yet."""
    monkeypatch.setenv("PEBBLE_VA_ALWAYS_VALID", "1")
    found = make(nonce_reject=0)
    found.config.unlink()
    return found


def call(*argv: object, **environment: object) -> None:
    """Run another client to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    more = {name: str(value) for name, value in environment.items()}
    done = subprocess.run(
        list(map(str, argv)), env=clean | more, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def accounts(world: World) -> int:
    return world.ca.log.count(" accounts in memory")


def take(world: World, *arguments: object) -> Done:
    """Take over, and add what a person has to where CA, DNS and nginx are private ones."""
    done = world.renewer("import", *map(str, arguments), "--state", str(world.state))
    text = world.config.read_text() if world.config.exists() else ""
    private = f'ca_bundle = "{world.box.ca_bundle}"\naccept_terms'
    text = text.replace("accept_terms", private, 1)
    text = re.sub(r"^# config = .*$", f'config = "{world.nginx.config}"', text, flags=re.MULTILINE)
    text = re.sub(r"^token_file = .*$", rf'\g<0>\nbase_url = "{world.box.api_url}"', text, flags=re.MULTILINE)
    world.config.write_text(f'{text}\n[propagation]\nresolver = "{world.box.resolver}"\ntimeout = "30s"\n')
    return done


def nothing_is_ordered(world: World, chain: Path) -> None:
    """Check that a first run deploys what was taken over, and the next finds it fresh, no account made."""
    leaf = chain.read_text().partition("-----END")[0]
    before = (world.ca.orders, accounts(world))
    first = world.renew()
    assert (first.code, first.one["action"], first.one["served"]) == (0, "deployed", True), first
    assert world.renew().one["action"] == "fresh"
    current = world.state / "certificates" / NAME / "current" / "fullchain.pem"
    assert current.read_text().startswith(leaf)
    assert (world.ca.orders, accounts(world)) == before


def test_certbot(world: World, certbot: Path, tmp_path: Path) -> None:
    token, home = tmp_path / "cloudflare.ini", tmp_path / "letsencrypt"
    token.write_text(f"dns_cloudflare_api_token = {world.box.token}\n")
    token.chmod(0o600)
    dns = ["--dns-cloudflare", "--dns-cloudflare-credentials", token]
    dns += ["--dns-cloudflare-propagation-seconds", "0"]
    folders = ["--config-dir", home, "--work-dir", tmp_path / "w", "--logs-dir", tmp_path / "l"]
    who = ["--agree-tos", "-m", "ops@example.com", "--server", world.box.directory]
    call(
        *(certbot, "certonly", "-n", *who, *folders, *dns, "-d", NAME, "-d", f"*.{NAME}"),
        CLOUDFLARE_BASE_URL=world.box.api_url,
        REQUESTS_CA_BUNDLE=world.box.ca_bundle,
    )
    before = contents(home)
    done = take(world, "certbot", home, "--token")
    assert (done.code, done.err) == (0, ""), done
    assert "systemctl disable --now certbot.timer" in done.out
    assert world.box.token not in done.out
    own = world.config.with_name("cloudflare.token")
    assert (own.read_text().strip(), own.stat().st_mode & 0o777) == (world.box.token, 0o600)
    nothing_is_ordered(world, home / "live" / NAME / "fullchain.pem")
    again = world.renewer("import", "certbot", str(home), "--json")
    assert [one["action"] for one in (*again.answer["accounts"], *again.answer["certificates"])] == [
        "kept"
    ] * 2
    assert contents(home) == before
    made = accounts(world)
    assert world.renew("--force").one["action"] == "issued"  # signed with certbot's account, an RSA key
    assert accounts(world) == made


def test_lego(world: World, tmp_path: Path) -> None:
    home = tmp_path / ".lego"
    assert shutil.which("lego"), "apt-get install lego"
    call(
        *("lego", "--accept-tos", "--email", "ops@example.com", "--server", world.box.directory),
        *("--path", home, "--dns", "exec", "--dns.disable-cp", "--dns.resolvers", world.box.resolver),
        *("-d", NAME, "run"),
        EXEC_PATH="/bin/true",
        EXEC_POLLING_INTERVAL=1,
        LEGO_CA_CERTIFICATES=world.box.ca_bundle,
    )
    unknown = world.renewer("import", "lego", str(home))
    assert unknown.code == 1
    assert all("--server URL" in hint for hint in unknown.hints[:2]), unknown
    assert not world.config.exists()
    before = contents(home)
    done = take(world, "lego", home, "--server", world.box.directory)
    assert (done.code, done.err) == (0, ""), done
    nothing_is_ordered(world, home / "certificates" / f"{NAME}.crt")
    assert contents(home) == before


def test_acme_sh(world: World, tmp_path: Path) -> None:
    """No registry has acme.sh: its home is written as acme.sh 3.1 does, around a certificate of the CA."""
    world.write(f'[certificate."{NAME}"]\ndomains = ["{NAME}", "*.{NAME}"]')
    assert world.renew().one["action"] == "issued"
    home = acme_sh_home(world, tmp_path / ".acme.sh")
    shutil.rmtree(world.state)
    world.config.unlink()
    (world.folder / "cloudflare.token").unlink(missing_ok=True)
    before = contents(home)
    done = take(world, "acme.sh", home, "--token")
    assert (done.code, done.err) == (0, ""), done
    assert "acme.sh --uninstall-cronjob" in done.out
    assert world.renewer("nginx").code == 0
    nothing_is_ordered(world, home / f"{NAME}_ecc" / "fullchain.cer")
    assert contents(home) == before


def acme_sh_home(world: World, home: Path) -> Path:
    """Write what acme.sh would have written for the certificate that renewer has obtained."""
    store, current = world.state / "store", world.state / "certificates" / NAME / "current"
    (account,) = [json.loads(path.read_text()) for path in (store / "account").iterdir()]
    domain, ca = home / f"{NAME}_ecc", home / "ca" / "127.0.0.1" / "dir"
    domain.mkdir(parents=True)
    ca.mkdir(parents=True)
    (home / "account.conf").write_text(f"\nSAVED_CF_Token='{world.box.token}'\nSAVED_CF_Account_ID=''\n")
    (ca / "account.key").write_text(account["key"])
    (ca / "ca.conf").write_text(f"CA_EMAIL='ops@example.com'\nACCOUNT_URL='{account['url']}'\n")
    (domain / f"{NAME}.key").write_text((current / "privkey.pem").read_text())
    (domain / f"{NAME}.cer").write_text((current / "cert.pem").read_text())
    (domain / "ca.cer").write_text((current / "chain.pem").read_text())
    (domain / "fullchain.cer").write_text((current / "fullchain.pem").read_text())
    (domain / f"{NAME}.conf").write_text(
        f"Le_Domain='{NAME}'\nLe_Alt='*.{NAME}'\nLe_Webroot='dns_cf'\nLe_Keylength='ec-256'\n"
        f"Le_API='{world.box.directory}'\n"
        "Le_ReloadCmd='__ACME_BASE64__START_c3lzdGVtY3RsIHJlbG9hZCBuZ2lueA==__ACME_BASE64__END_'\n"
    )
    return home
