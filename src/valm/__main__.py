"""`python -m valm <verb>`: the way every rule of the workflow calls the code."""

from valm.cli.main import main

main()
