from tests.realcloud.fixtures import cloud_session, real_cloud

__all__ = ["cloud_session", "real_cloud"]
