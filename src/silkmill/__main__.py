"""`python -m silkmill`."""

from silkmill.cli import main

main()
