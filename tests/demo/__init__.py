"""The simulated cloud's own tests; that it answers as Nova does is shown in tests/contract."""
