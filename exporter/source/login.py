"""Log in to a cloud, find Nova there and choose the microversion to speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from keystoneauth1.access import service_catalog
from openstack.connection import Connection

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source.errors import Place, no_version
from exporter.source.transport import Transport

#: Nova's microversion in which migrations name who began them (21.0, Ussuri); nothing later changes them.
WANTED = (2, 80)

#: The first in which migrations have a uuid (17.0, Queens).
LOWEST = (2, 59)

ADMIN = "admin"

#: What of the auth section of clouds.yaml may be shown; anything else there may be a secret.
_PUBLIC_AUTH = frozenset(
    {
        "auth_url",
        "username",
        "user_id",
        "user_domain_name",
        "user_domain_id",
        "project_name",
        "project_id",
        "project_domain_name",
        "project_domain_id",
        "default_domain",
        "default_domain_id",
        "domain_name",
        "domain_id",
        "tenant_name",
        "tenant_id",
        "system_scope",
        "application_credential_id",
        "application_credential_name",
        "identity_provider",
        "protocol",
    }
)


@dataclass(frozen=True, slots=True)
class Login:
    """A Nova that answers; `maximum` is the highest microversion it has, `microversion` the one to speak."""

    connection: Connection
    compute: Any
    microversion: str
    maximum: tuple[float, ...]

    @property
    def is_admin(self) -> bool:
        """Tell whether the token has the role from which Nova hides no server (nova/policy.py, `context_is_admin`)."""
        return ADMIN in (role.lower() for role in self.roles)

    @property
    def roles(self) -> Sequence[str]:
        """Return the names of the roles that the token has, or had when it was good; sends nothing."""
        access = getattr(self.connection.session.auth, "auth_ref", None)
        return tuple(access.role_names or ()) if access is not None else ()

    @property
    def highest(self) -> str:
        """Return the highest microversion that the cloud has."""
        return _text(self.maximum)


def log_in(connection: Connection, transport: Transport) -> Login:
    """Return a login all of whose requests go through the transport; raises what the SDK and keystoneauth raise."""
    transport.place = place_of(connection)
    for scheme in ("https://", "http://"):
        connection.session.session.mount(scheme, transport)
    access = _access(connection)
    if access is not None:
        transport.place = replace(transport.place, regions=compute_regions(access.service_catalog))
        _leave_expiry_to_the_cloud(connection.session.auth, access)
    compute = connection.compute
    found = compute.get_endpoint_data()
    if found is None or not found.max_microversion:
        raise no_version(replace(transport.place, answer=transport.last_answer))
    maximum = tuple(found.max_microversion)
    return Login(connection, compute, choose_microversion(maximum, transport.place), maximum)


def _leave_expiry_to_the_cloud(auth: Any, access: Any) -> None:
    """Where a new token looks old, as it does if Keystone's clock is behind ours, use it until the cloud refuses it.

    keystoneauth would log in before every request otherwise; after a 401 it logs in anew in any case.
    """
    if access.will_expire_soon(auth.MIN_TOKEN_LIFE_SECONDS):
        auth.reauthenticate = False


def choose_microversion(maximum: tuple[float, ...], place: Place) -> str:
    """Return the microversion to speak with a Nova that has this highest one; raise CloudError where it is too old."""
    if maximum < LOWEST:
        found = f"microversion {_text(maximum)} at most"
        text = f"Nova of cloud '{place.cloud}' has {found}; {_text(LOWEST)} (Nova 17.0, Queens) is the minimum"
        raise CloudError(ErrorKind.PROTOCOL, f"{text}, for below it migrations have no uuid")
    return _text(min(WANTED, maximum))


def place_of(connection: Connection) -> Place:
    """Return what messages say of a connection."""
    config = connection.config
    auth = config.get_auth_args()
    interface = config.get_interface("compute") or "public"
    return Place(
        cloud=str(config.name),
        auth_url=str(auth.get("auth_url") or ""),
        region=config.get_region_name("compute") or None,
        interface=interface if isinstance(interface, str) else " or ".join(interface),
        secrets=tuple(str(value) for key, value in auth.items() if value and key not in _PUBLIC_AUTH),
    )


def compute_regions(catalog: service_catalog.ServiceCatalog) -> tuple[str, ...]:
    """Return the regions with a compute endpoint, as `region (interface, ...)`."""
    regions: dict[str, list[str]] = {}
    for endpoints in catalog.get_endpoints_data(service_type="compute").values():
        for endpoint in endpoints:
            regions.setdefault(str(endpoint.region_name), []).append(str(endpoint.interface))
    return tuple(f"{region} ({', '.join(sorted(set(found)))})" for region, found in sorted(regions.items()))


def _access(connection: Connection) -> Any:
    """Return what Keystone granted; logs in where that is due. None for logins without Keystone (auth_type none)."""
    get_access = getattr(connection.session.auth, "get_access", None)
    return get_access(connection.session) if get_access else None


def _text(version: tuple[float, ...]) -> str:
    return ".".join(str(part) for part in version)
