"""Root's helper (`systemd/reload`) as a module, which a test may point elsewhere."""

import importlib.machinery
import importlib.util
import os
from pathlib import Path
from types import ModuleType

from renewer.nginx.secure_link import gates

SCRIPT = Path(__file__).parents[2] / "systemd" / "reload"


def loaded() -> ModuleType:
    """Return it anew, with this user for root and with the program's own texts for secure links."""
    loader = importlib.machinery.SourceFileLoader("reload", str(SCRIPT))
    found = importlib.util.spec_from_loader("reload", loader)
    assert found is not None
    module = importlib.util.module_from_spec(found)
    loader.exec_module(module)
    vars(module).update(TEXTS=gates._TEXTS, ROOT=os.geteuid())
    return module
