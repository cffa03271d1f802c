"""What has to hold after every fault."""

import json
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from support.forks import Ended, Forks, Meddling
from support.world import NAME, World, table

from renewer.core import x509 as keys

SITE = '[site.nodered]\nhost = "https://nodered.example.com"\npeople = ["phone"]\n'


@dataclass
class Faulty:
    """A world in which things go wrong, and what is asked of the program in it."""

    world: World
    forks: Forks
    needs: int = 0
    edit: Callable[[str], str] = str

    def run(self, *argv: str, meddling: Meddling | None = None) -> Ended:
        done = self.forks.run("-c", str(self.world.config), *argv, meddling=meddling)
        self.world.told += [done.out, done.err]
        return done

    def renew(self, *argv: str, meddling: Meddling | None = None) -> Ended:
        return self.run("renew", "--json", *argv, meddling=meddling)

    def need(self) -> None:
        """Let another certificate be needed than the one that there is."""
        self.needs += 1
        self.again()

    def again(self) -> None:
        """Write the configuration anew."""
        self.world.write(table(NAME, *sorted(self.wanted)), edit=self.edit)

    def sites(self, text: str) -> None:
        """Have these sites, with nginx including what belongs to them."""
        self.world.write(table(NAME), text)
        self.world.listen(f"include {self.world.state}/nginx/secure_link/http.conf;")

    @property
    def wanted(self) -> set[str]:
        return {NAME, f"*.{NAME}", f"n{self.needs}.deep.{NAME}"} if self.needs else {NAME, f"*.{NAME}"}

    # -- what holds -----------------------------------------------------------------------------------------

    def serves(self) -> None:
        """Hold that nginx works, and would start, with a whole pair."""
        nginx = self.world.nginx
        tested = subprocess.run(
            ["/usr/sbin/nginx", "-t", "-c", str(nginx.config)], capture_output=True, text=True, check=False
        )
        assert tested.returncode == 0, tested.stderr
        assert self.world.glimpse()

    def whole(self) -> None:
        """Hold that every generation that something points to is a pair that belongs together."""
        for path in (self.world.state / "certificates").glob("*/current/fullchain.pem"):
            chain, key = path.read_bytes(), (path.parent / "privkey.pem").read_bytes()
            (leaf, *_) = x509.load_pem_x509_certificates(chain)
            own = load_pem_private_key(key, None).public_key()
            assert _bytes(leaf.public_key()) == _bytes(own), path

    def kept(self) -> str:
        """Return the fingerprint of the certificate that is kept; there has to be one that can be read."""
        path = self.world.state / "store" / "certificate" / f"{NAME}.json"
        document = json.loads(path.read_text())
        return str(keys.fingerprint(document["pairs"][0]["chain"]))

    def calm(self, later: float = 0.0) -> Ended:
        """Run once more with nothing in the way, so many seconds later, and hold that all is well then."""
        done = self.renew(meddling=Meddling(shift=later))
        assert done.code == 0, done
        assert done.one["served"] is True, done
        self.serves()
        self.whole()
        assert self.world.glimpse() == done.one["fingerprint"] == self.kept()
        assert self.names() == self.wanted
        assert self.world.box.records() == []
        left = {"journal", "failure", "rehearsal", "revocation"}
        found = [path for kind in left for path in (self.world.state / "store" / kind).glob("*")]
        assert [path for path in found if ".json.corrupt-" not in path.name] == []
        return done

    def names(self) -> set[str]:
        """Return the names of the certificate that nginx shows."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.world.port))
        leaf = x509.load_pem_x509_certificate(pem.encode())
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return set(found.get_values_for_type(x509.DNSName))


def _bytes(public: object) -> bytes:
    found: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return found
