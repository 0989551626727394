"""`python -m raygan`: the command line."""

from raygan.cli import main

main()
