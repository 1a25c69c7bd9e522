"""One real cloud for the whole session, whoever asks for it."""

from tests.realcloud.fixtures import cloud_session, real_cloud

__all__ = ["cloud_session", "real_cloud"]
