"""`python -m renewer`: how the daemon starts its workers."""

from renewer.cli import main

main()
