"""One module for each kind of source; each imports what it needs only when it is called."""
