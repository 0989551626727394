"""Ways to train generators over the clients, one file each."""
