"""What a message has to name, in whatever words it does."""


def missing(text: str, *facts: object) -> list[str]:
    """Return those facts (a name, a file, a line, a value, a command) that a text does not have."""
    assert facts
    return [str(fact) for fact in facts if str(fact) not in text]
