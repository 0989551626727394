"""The command line. Exit status: 0 done, 2 bad input (one line on standard error), 130, 143 and 129 stopped by
SIGINT, SIGTERM and SIGHUP, 1 anything else."""

from raygan.cli.app import main

__all__ = ["main"]
