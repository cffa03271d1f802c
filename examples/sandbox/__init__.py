"""A sandbox for renewer: all that a renewal talks to, on this machine alone.

with Sandbox(folder, zones=["example.com"], delays=(0.0, 2.5)) as sandbox:
    configuration = sandbox.toml(state)
"""

from sandbox.box import Sandbox
from sandbox.cloudflare import Token
from sandbox.listener import Call, Fault
from sandbox.nameserver import Nameserver
from sandbox.pebble import Pebble
from sandbox.zones import Record, Zone

__all__ = ["Call", "Fault", "Nameserver", "Pebble", "Record", "Sandbox", "Token", "Zone"]
