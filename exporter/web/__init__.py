"""HTTP: what is served, the server and its door, TLS and passwords, and the file that configures these."""
