"""One generator on a server, and a discriminator on each client. No Ray."""
