"""The command line. Exit status: 0 done, 2 bad input (one line on standard error), 130 and 143 stopped by SIGINT
and SIGTERM, 1 anything else."""

from raygan.cli.app import main

__all__ = ["main"]
