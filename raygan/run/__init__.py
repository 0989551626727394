"""The engine: rounds, recovery, checkpoints, scores and files of one run, whatever the algorithm."""
