"""Where parties live: in this process or as Ray actors, behind one interface."""
