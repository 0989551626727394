"""How near to the limit: the unsplit networks, the split in one process, and the split as Ray actors, measured
in alternation, so that whatever else the machine does hits all of them."""
