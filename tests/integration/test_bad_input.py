"""What is wrong with the world: told in one clear sentence with what to do, and nothing changed or lost."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.world import NAME, Done, World, table

from sandbox import Fault

NEW = "new.example"
"""A certificate that is still to be obtained, from a zone that was never looked up."""

UNSEEN = "unseen.example"
"""A domain that no zone of the token holds."""

UNKNOWN_TOKEN = "a-token-as-long-as-real-ones-that-nobody-has-ever-given-out"

Edit = Callable[[str], str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which example.com is obtained and served, and new.example is not."""
    with World(tmp_path_factory.mktemp("world"), (NAME, NEW)) as world:
        assert world.renew(NAME).code == 0
        yield world


@pytest.fixture(autouse=True)
def _restored(world: World) -> Iterator[None]:
    """Give every test the configuration that works, and a sandbox that behaves."""
    write(world)
    yield
    world.box.api.heal()
    for server in world.box.nameservers:
        server.silent = False


def write(world: World, *, edit: Edit = str, **toml: str) -> None:
    world.write(table(NAME), table(NEW), edit=edit, **toml)


def replaced(old: str, new: str) -> Edit:
    """Return an edit of the configuration that has to find something to edit."""

    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


@contextmanager
def nothing_changed(world: World, orders: int = 0) -> Iterator[None]:
    """See to it that what is inside loses nothing, and that it leads to so many new orders."""
    before, served = world.files("certificates", "nginx"), world.glimpse()
    kept, asked = world.files("store/certificate", "store/account"), (world.ca.asked, world.ca.orders)
    yield
    assert world.files("certificates", "nginx") == before
    assert world.files("store/certificate", "store/account") == kept
    assert world.glimpse() == served == world.shown().fingerprint
    assert world.box.records() == []
    assert world.ca.orders == asked[1] + orders
    assert orders or world.ca.asked == asked[0]


def told_well(done: Done, code: int, words: Sequence[str]) -> None:
    """See to it that it ended with the code, one sentence and one hint that hold the words."""
    assert "Traceback" not in done.err
    assert (done.code, done.out) == (code, ""), done.err
    assert (len(done.sentences), len(done.hints)) == (1, 1), done.err
    assert [word for word in words if word not in done.err] == [], done.err


def test_the_world_is_in_order_to_begin_with(world: World) -> None:
    with nothing_changed(world):
        done = world.renew(NAME)
    assert (done.code, done.err, done.one["action"], done.one["served"]) == (0, "", "fresh", True)


# -- the configuration --------------------------------------------------------------------------------------


DOMAINS = f'domains = ["{NEW}", "*.{NEW}"]'
PLACE = f'certificate."{NEW}".domains'

FAULTS: dict[str, tuple[Edit, list[str]]] = {
    "an unknown key": (
        replaced("[nginx]", "[nginx]\nreloads = 1"),
        ["nginx.reloads", "known key", "reload?"],
    ),
    "an unknown table": (replaced("[propagation]", "[propagate]"), ["propagate", "known key"]),
    "a wrong type": (replaced(DOMAINS, f'domains = "{NEW}"'), [PLACE, "list"]),
    "a number for a duration": (replaced('timeout = "30s"', "timeout = 30"), ["propagation.timeout", "30d"]),
    "no host name": (replaced(DOMAINS, 'domains = ["new_one.example"]'), [f"{PLACE}[0]", "underscore"]),
    "a URL": (replaced(DOMAINS, f'domains = ["{NEW}", "https://x.{NEW}/"]'), [f"{PLACE}[1]", "URL"]),
    "an address": (replaced(DOMAINS, 'domains = ["192.0.2.1"]'), [f"{PLACE}[0]", "IP address"]),
    "a wildcard in the middle": (
        replaced(DOMAINS, f'domains = ["{NEW}", "a.*.{NEW}"]'),
        [f"{PLACE}[1]", "star", "first label"],
    ),
    "no domains": (replaced(DOMAINS, ""), [PLACE, "missing"]),
    "an empty list of domains": (replaced(DOMAINS, "domains = []"), [PLACE, "at least one"]),
    "two certificates of one name": (
        lambda text: text + table(NAME),
        [f'[certificate."{NAME}"]', "line "],
    ),
    "two names that differ in case": (
        lambda text: text + table(NEW.upper(), f"www.{NEW}"),
        [NEW.upper(), NEW],
    ),
    "the same domains twice": (
        lambda text: text + table("another", NAME, f"*.{NAME}"),
        ["another", NAME],
    ),
    "a name that is a path": (
        lambda text: text + table("../../etc/passwd", "www.other.example"),
        ["../../etc/passwd", "letters"],
    ),
    "no certificate at all": (lambda text: text.partition("[certificate")[0], ["certificate", "missing"]),
    "a relative state folder": (
        lambda text: text.replace('state = "/', 'state = "'),
        ["state", "absolute path"],
    ),
    "a CA without https": (replaced("https://127.0.0.1", "http://127.0.0.1"), ["acme.server", "https://"]),
    "an API without https": (
        lambda text: text.replace("http://127.0.0.1", "http://192.0.2.1"),
        ["cloudflare.base_url", "https://"],
    ),
    "half an external account": (
        replaced("accept_terms = true", 'eab_kid = "kid"'),
        ["acme.eab_hmac_key_file", "eab_kid"],
    ),
    "no TOML": (replaced("[nginx]", "[nginx"), ["line ", "TOML"]),
    "an unknown kind of key": (
        replaced(DOMAINS, f'{DOMAINS}\nkeys = ["ec25"]'),
        [f'certificate."{NEW}".keys[0]', "ec256, "],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_configuration(world: World, fault: str) -> None:
    edit, words = FAULTS[fault]
    write(world, edit=edit)
    before = world.files()
    with nothing_changed(world):
        told_well(world.renewer("renew"), 78, [*words, str(world.config)])
    assert world.files() == before


def test_all_faults_are_told_at_once(world: World) -> None:
    write(world, edit=lambda text: replaced(DOMAINS, "domains = 1")(text).replace("[nginx]", "[ngnix]"))
    with nothing_changed(world):
        done = world.renewer("renew", "--json")
    assert (done.code, done.answer["exit"], len(done.sentences), len(done.hints)) == (78, 78, 2, 1)
    assert PLACE in done.err
    assert "nginx?" in done.err


def test_there_is_no_such_configuration(world: World) -> None:
    world.config.unlink()
    told_well(world.renewer("renew"), 78, [str(world.config), "No such file", "-c FILE"])


def test_a_name_that_is_in_no_configuration(world: World) -> None:
    with nothing_changed(world):
        told_well(world.renewer("renew", "nosuch.example"), 78, ["nosuch.example", f"{NAME}, {NEW}"])


# -- the token ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Token:
    """A file in the token's place: what it holds (`None` for no file), its mode, and what is said of it."""

    content: str | None
    mode: int
    words: list[str]


TOKENS = {
    "others can read it": Token(UNKNOWN_TOKEN, 0o644, ["mode ", "chmod 600"]),
    "its group can write it": Token(UNKNOWN_TOKEN, 0o620, ["mode ", "chmod 600"]),
    "it is empty": Token("", 0o600, ["is empty"]),
    "it holds only a newline": Token("\n", 0o600, ["is empty"]),
    "it has two lines": Token(f"{UNKNOWN_TOKEN}\n{UNKNOWN_TOKEN}\n", 0o600, ["more than one line"]),
    "it has a blank in it": Token(f"{UNKNOWN_TOKEN} x\n", 0o600, ["space"]),
    "it is a header": Token(f"Bearer {UNKNOWN_TOKEN}\n", 0o600, ["begins with the word Bearer"]),
    "it is quoted": Token(f'"{UNKNOWN_TOKEN}"\n', 0o600, ["quotes"]),
    "it is a Global API Key": Token("0123456789abcdef0123456789abcdef01234\n", 0o600, ["Global API Key"]),
    "it is not there": Token(None, 0o600, ["cannot be read", "No such file"]),
}


@pytest.mark.parametrize("fault", TOKENS)
@pytest.mark.parametrize("which", [[NEW], [NAME, "--force"]])
def test_a_token_that_cannot_be_right(world: World, tmp_path: Path, fault: str, which: list[str]) -> None:
    token = TOKENS[fault]
    file = tmp_path / "cloudflare.token"
    if token.content is not None:
        file.touch()
        file.chmod(token.mode)
        file.write_text(token.content)
    write(world, edit=replaced(str(world.box.token_file), str(file)))
    calls = len(world.box.calls())
    with nothing_changed(world):
        done = world.renewer("renew", *which)
        told_well(done, 78, ["cloudflare.token_file", *token.words])
    assert len(world.box.calls()) == calls
    assert not token.content or not token.content.strip() or token.content.strip() not in done.err


def test_no_token_anywhere(world: World) -> None:
    write(world, edit=replaced("token_file =", "# token_file ="))
    with nothing_changed(world):
        told_well(world.renewer("renew", NEW), 78, ["no token", "token_file", "CLOUDFLARE_API_TOKEN"])


@pytest.mark.parametrize(
    ("token", "words"),
    [(UNKNOWN_TOKEN, ["9109", "token is revoked"]), ("too-short", ["6003", "malformed"])],
)
def test_a_token_that_cloudflare_refuses(world: World, token: str, words: list[str]) -> None:
    write(world, token=token)
    with nothing_changed(world):
        done = world.renewer("renew", NEW)
        told_well(done, 1, [NEW, "Cloudflare said", "API token", *words])
    assert token not in done.err


def test_a_token_that_is_revoked_costs_one_order_at_most(world: World) -> None:
    """The zone is known, so only creating a record shows it; the order is there for the next run."""
    write(world, token=UNKNOWN_TOKEN)
    with nothing_changed(world, orders=1):
        for _ in range(3):
            told_well(world.renewer("renew", NAME, "--force"), 1, [NAME, "Cloudflare said", "token"])
    write(world)
    orders = world.ca.orders
    assert world.renew(NAME, "--force").one["action"] == "issued"
    assert world.ca.orders == orders


def test_a_zone_that_the_token_does_not_see(world: World) -> None:
    world.write(table(NAME), table(UNSEEN))
    assert world.renewer("nginx").code == 0
    with nothing_changed(world):
        told_well(world.renewer("renew", UNSEEN), 1, [UNSEEN, "no zone", "the token covers it"])
    # The other certificate goes on as before.
    assert world.renew(NAME).one["action"] == "fresh"


# -- the state folder ---------------------------------------------------------------------------------------


def test_a_state_folder_that_others_can_write(world: World) -> None:
    world.state.chmod(0o777)
    try:
        with nothing_changed(world):
            told_well(world.renewer("renew"), 78, [str(world.state), "chmod go-w"])
    finally:
        world.state.chmod(0o700)


def test_a_state_folder_of_somebody_else(world: World) -> None:
    """Root becomes its owner, but not one whom this machine does not know."""
    os.chown(world.state, 54321, -1)
    try:
        with nothing_changed(world):
            told_well(world.renewer("renew"), 78, [str(world.state), "the user #54321", "chown -R root:"])
    finally:
        os.chown(world.state, 0, -1)


def test_a_state_folder_below_one_that_others_can_write(world: World, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    write(world, edit=replaced(f'state = "{world.state}"', f'state = "{open_to_all}/state"'))
    with nothing_changed(world):
        told_well(world.renewer("renew"), 78, [str(open_to_all), "chmod go-w"])
    assert list(open_to_all.iterdir()) == []


def test_a_state_folder_that_is_a_link(world: World, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(world.state)
    write(world, edit=replaced(f'state = "{world.state}"', f'state = "{link}"'))
    with nothing_changed(world):
        told_well(world.renewer("renew"), 78, [str(link), "is a link", str(world.state)])


# -- the CA -------------------------------------------------------------------------------------------------


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port at which nobody listens, for as long as it is held."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


def test_a_ca_that_cannot_be_reached(world: World) -> None:
    with closed_port() as port:
        nowhere = f"https://127.0.0.1:{port}/dir"
        write(world, edit=replaced(world.box.directory, nowhere))
        with nothing_changed(world):
            told_well(world.renewer("renew", NAME), 75, [NAME, nowhere, "cannot be reached", "acme"])
    assert world.shown().fingerprint


def test_a_ca_that_is_not_trusted(world: World) -> None:
    write(world, edit=replaced("ca_bundle =", "# ca_bundle ="))
    with nothing_changed(world):
        done = world.renewer("renew", NAME, "--force")
        told_well(done, 1, [world.box.directory, "not trusted", "ca_bundle"])


@pytest.mark.parametrize("content", [None, "", "no certificate in here\n"])
def test_a_ca_bundle_that_is_none(world: World, tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    write(world, edit=replaced(str(world.box.ca_bundle), str(bundle)))
    with nothing_changed(world):
        told_well(world.renewer("renew", NAME, "--force"), 78, ["ca_bundle", str(bundle)])


def test_a_directory_that_is_not_there(world: World) -> None:
    nowhere = world.box.directory.replace("/dir", "/nothing-here")
    write(world, edit=replaced(world.box.directory, nowhere))
    with nothing_changed(world):
        told_well(world.renewer("renew", NAME), 1, [nowhere, "404", "[acme] server"])


def test_a_directory_that_is_something_else(world: World) -> None:
    page = f"https://127.0.0.1:{world.box.pebble.management_port}/roots/0"
    write(world, edit=replaced(world.box.directory, page))
    with nothing_changed(world):
        told_well(world.renewer("renew", NAME), 75, [page, "no sense", "[acme] server"])


def test_terms_that_are_not_accepted(world: World) -> None:
    """The account of this world was made before, so it takes another CA's directory to be asked again."""
    other = world.box.directory.replace("127.0.0.1", "localhost")
    refusal = replaced("accept_terms = true", "accept_terms = false")
    write(world, edit=lambda text: refusal(text).replace(world.box.directory, other))
    served = world.glimpse()
    told_well(world.renewer("renew", NAME), 78, ["accept_terms", "accept_terms = true"])
    assert (world.glimpse(), world.box.records()) == (served, [])


@pytest.mark.parametrize("key", ["a", "five!", ""])
def test_the_key_of_an_external_account_that_is_none(world: World, tmp_path: Path, key: str) -> None:
    file = tmp_path / "eab.key"
    file.touch(mode=0o600)
    file.write_text(f"{key}\n")
    other = world.box.directory.replace("127.0.0.1", "localhost")
    bound = f'accept_terms = true\neab_kid = "kid"\neab_hmac_key_file = "{file}"'
    write(
        world,
        edit=lambda text: replaced("accept_terms = true", bound)(text).replace(world.box.directory, other),
    )
    asked = world.ca.asked
    told_well(world.renewer("renew", NAME), 78, ["eab_hmac_key_file"])
    assert world.ca.asked == asked


# -- the DNS, and Cloudflare --------------------------------------------------------------------------------


def test_a_name_server_that_never_answers(world: World) -> None:
    write(world, timeout="3s")
    world.box.nameservers[1].silent = True
    answered = world.ca.answered
    with nothing_changed(world, orders=1):
        words = [NAME, "ns2.sandbox.test", "127.0.0.3", "answer", "CA was not asked", "timeout"]
        told_well(world.renewer("renew", NAME, "--force"), 75, words)
    assert world.ca.answered == answered
    world.box.nameservers[1].silent = False
    orders = world.ca.orders
    assert world.renew(NAME, "--force").one["action"] == "issued"
    assert world.ca.orders == orders


def test_a_resolver_that_is_none(world: World) -> None:
    with closed_port() as port:
        write(world, edit=replaced(world.box.resolver, f"127.0.0.1:{port}"))
        with nothing_changed(world):
            done = world.renewer("renew", NEW)
            told_well(done, 75, [NEW, "resolver gives no answer", "[propagation] resolver"])


def test_a_cloudflare_that_cannot_be_reached(world: World) -> None:
    with closed_port() as port:
        nowhere = f"http://127.0.0.1:{port}/client/v4"
        write(world, edit=replaced(world.box.api_url, nowhere))
        with nothing_changed(world):
            told_well(world.renewer("renew", NEW), 75, [NEW, "Cloudflare", "cannot be reached", "base_url"])


def test_a_cloudflare_that_is_down(world: World) -> None:
    page = b"<html><title>502 Bad Gateway</title></html>"
    world.box.api.plan(Fault(status=502, body=page, times=float("inf")))
    with nothing_changed(world):
        told_well(world.renewer("renew", NEW), 75, [NEW, "Cloudflare", "502"])


# -- nginx --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            replaced("[nginx]", '[nginx]\nbinary = "/nowhere/nginx"'),
            ["nginx.binary", "/nowhere/nginx", "install"],
        ),
        (replaced("nginx.conf", "missing.conf"), ["nginx.config", "missing.conf", "not there"]),
    ],
)
def test_an_nginx_that_is_not_there(world: World, edit: Edit, words: list[str]) -> None:
    write(world, edit=edit)
    with nothing_changed(world):
        told_well(world.renewer("renew", NAME, "--force"), 78, words)


def test_an_nginx_that_is_broken_keeps_the_certificate_waiting(world: World) -> None:
    old = world.glimpse()
    before = world.files("certificates/" + NAME + "/current", "nginx")
    world.listen("oops;\n")
    try:
        told_well(
            world.renewer("renew", NAME, "--force"), 1, [NAME, f"{world.nginx.config}:", '"oops"', "kept"]
        )
        kept, orders = world.files("store/certificate"), world.ca.orders
        told_well(world.renewer("renew", NAME), 1, [NAME, f"{world.nginx.config}:", '"oops"', "kept"])
        assert world.files("certificates/" + NAME + "/current", "nginx") == before
        assert (world.glimpse(), world.ca.orders) == (old, orders)
    finally:
        world.listen()
    mended = world.renew(NAME)
    assert (mended.code, mended.one["action"], mended.one["served"]) == (0, "deployed", True)
    assert mended.one["fingerprint"] == world.shown().fingerprint != old
    assert world.files("store/certificate") == kept
    assert (world.ca.orders, world.box.records()) == (orders, [])
