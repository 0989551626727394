"""The heterogeneous U-shaped split (arXiv 2507.12979): heads and tails on clients, the shared body on the server."""
