"""Everything that knows Cloudflare: client, zones, records, tokens, what its errors mean."""

import os
import sys

# httpx loads a command line of its own, with rich and pygments, where these are installed, and does without
# where that cannot be imported; None makes it so (https://docs.python.org/3/reference/import.html).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # the interpreter takes it

# Cloudflare's SDK would have every module of this process log to standard error where this says so.
os.environ.pop("CLOUDFLARE_LOG", None)
