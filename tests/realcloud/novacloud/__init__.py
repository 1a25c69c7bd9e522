"""Run a real Nova, without hypervisors, inside one process: what runs in the nova environment only."""
