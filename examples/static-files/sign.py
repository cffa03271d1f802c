#!/usr/bin/env python3
"""Print a signed URL: sign.py PATH SECONDS, such as sign.py "/films/a film.mp4" 3600.

PATH is the file's path below nginx's root, as it is: nothing in it is decoded.
"""

import json
import os
import sys
import time
from base64 import urlsafe_b64encode
from hashlib import md5
from pathlib import Path
from urllib.parse import quote

HOST = "https://files.example.com"
SIGNER_FILE = Path("/run/renewer/files.json")


def signed(path: str, seconds: int) -> str:
    """Return the URL of the path, which nginx takes for so many seconds."""
    key = json.loads(SIGNER_FILE.read_text())  # at every call: the key is replaced now and then
    if not path.startswith("/") or not 0 < seconds <= key["grace"]:
        raise ValueError(f"the path begins with /, and the seconds are 1 to {key['grace']}")
    expires, plain = int(time.time()) + seconds, os.fsencode(path)
    text = b"%d%b %b" % (expires, plain, key["secret"].encode())
    signature = urlsafe_b64encode(md5(text, usedforsecurity=False).digest()).decode().rstrip("=")
    encoded = quote(plain, safe="/!$&'()*+,;=:@~")
    return f"{HOST}{encoded}?k={key['k']}&expires={expires}&md5={signature}"


if __name__ == "__main__":
    try:
        _, path, seconds = sys.argv
        print(signed(path, int(seconds)))
    except (OSError, ValueError) as error:
        sys.exit(f"sign.py PATH SECONDS: {error}")
