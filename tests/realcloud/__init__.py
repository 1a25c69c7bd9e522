"""A real Nova behind a real Keystone, without hypervisors, for tests. See the README beside this file."""
