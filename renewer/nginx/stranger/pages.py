"""Checks whether a file named in full in the configuration exists."""

from pathlib import Path

from renewer.nginx.stranger.contexts import Context


def there(context: Context, path: str) -> bool | None:
    """Return whether nginx finds a file for a path; `None` if that is unknown."""
    roots = context.nearest("root", "alias")
    where = roots[-1].arguments[0] if roots and roots[-1].arguments else ""
    if not where.startswith("/") or "$" in where or roots[-1].name == "alias":
        return None
    try:
        Path(where.rstrip("/") + path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return None
    return True
