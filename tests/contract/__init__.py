"""The same questions to the simulated cloud and to the real Nova, and the same answers."""
