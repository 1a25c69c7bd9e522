"""Ask an OpenStack cloud: the only rooms that import openstack and keystoneauth1."""
