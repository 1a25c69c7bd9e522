"""A simulated OpenStack for the demo and the tests: nothing of it is used against a real cloud."""

from exporter.demo.cloud import Credentials, SimulatedCloud

__all__ = ["Credentials", "SimulatedCloud"]
