"""Turn whatever goes wrong on the way to a cloud into a kind, and a message that names the cause and the cure.

No message holds a password or a token: text of others is quoted only through `quote`.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import openstack.exceptions as sdk
import requests.exceptions as http
import urllib3.exceptions as wire
from keystoneauth1 import exceptions as ksa

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source.policies import cure_of
from exporter.strangers import credentials_in, printable, redact, without_credentials

LOG = logging.getLogger(__name__)

_MAX_QUOTED = 200
_MAX_REGIONS = 1000
_MAX_CAUSES = 12


class ConnectConfigError(ValueError):
    """Nothing, or nothing proper, says which cloud to ask and how to log in there; what libraries quote is not shown."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


@dataclass(frozen=True, slots=True)
class Place:
    """What was being asked: for the messages alone.

    `regions` are those in which the catalogue has a compute endpoint, as `region (interface, ...)`; None: no catalogue
    was read. `answer` is the last HTTP answer there was. `secrets` never appear in a message.
    """

    cloud: str
    auth_url: str = ""
    region: str | None = None
    interface: str = "public"
    regions: Sequence[str] | None = None
    answer: str | None = None
    asked: str = ""
    seconds: float = 0.0
    secrets: Sequence[str] = field(default=(), repr=False)


def cloud_error(exception: BaseException, place: Place) -> CloudError:
    """Return the error of the domain for any exception that asking a cloud can raise."""
    if isinstance(exception, CloudError):
        return exception
    for types, translate in _TRANSLATIONS:
        if isinstance(exception, types):
            return translate(exception, place)
    trace = redact("".join(traceback.format_exception(exception)), _secrets(place))
    LOG.error("cloud %s: unexpected %s", place.cloud, type(exception).__name__, extra={"traceback": trace})
    return _nonsense(exception, place)


def quote(text: object, place: Place, longest: int = _MAX_QUOTED) -> str:
    """Return what somebody else wrote, on one short line, without secrets."""
    return printable(redact(" ".join(str(text).split()), _secrets(place)))[:longest]


def _secrets(place: Place) -> Sequence[str]:
    return (*place.secrets, *credentials_in(place.auth_url))


def address(url: str | None) -> str:
    """Return a URL without credentials, query and fragment; an API can redirect to one with a token in its path."""
    return printable(redact(without_credentials(url or "")))


def root_cause(exception: BaseException, place: Place) -> str:
    """Return what the operating system, or the innermost library, says."""
    for _ in range(_MAX_CAUSES):
        inner = (*exception.args, getattr(exception, "reason", None), exception.__cause__)
        deeper = next((cause for cause in inner if isinstance(cause, BaseException)), None)
        if deeper is None:
            break
        exception = deeper
    text = exception.strerror if isinstance(exception, OSError) else None
    return quote(text or exception or type(exception).__name__, place)


def status_error(status: int, said: str, place: Place) -> CloudError:
    """Return the error for an HTTP answer that is none; `said` is its own explanation."""
    words = f": {quote(said, place).rstrip('.')}" if said else ""
    asked = f"cloud '{place.cloud}': {place.asked} answered HTTP {status}{words}"
    match status:
        case HTTPStatus.UNAUTHORIZED:
            cure = "the token was refused even after a new login; does Nova accept this Keystone's tokens?"
            return CloudError(ErrorKind.AUTH, f"{asked}: {cure}")
        case HTTPStatus.FORBIDDEN:
            return CloudError(ErrorKind.FORBIDDEN, f"{asked}{cure_of(place.asked)}")
        case HTTPStatus.NOT_ACCEPTABLE:
            cure = "the cloud no longer knows the microversion found at login; the next poll looks again"
            return CloudError(ErrorKind.PROTOCOL, f"{asked}: {cure}")
        case HTTPStatus.NOT_FOUND:
            return CloudError(ErrorKind.HTTP, f"{asked}: does the catalogue's compute endpoint lead to Nova?")
    return CloudError(ErrorKind.HTTP, asked)


def deadline_error(place: Place) -> CloudError:
    """Return the error for a poll whose time is over."""
    cure = "is the cloud slow, or poll.deadline short?"
    return CloudError(
        ErrorKind.DEADLINE, f"cloud '{place.cloud}': the deadline of the poll passed at {place.asked}: {cure}"
    )


_Translate = Callable[[BaseException, Place], CloudError]


def _timeout(_: BaseException, place: Place) -> CloudError:
    text = (
        f"cloud '{place.cloud}': {place.asked or 'a request'} got no answer within {place.seconds:g} s (poll.timeout)"
    )
    return CloudError(ErrorKind.TIMEOUT, text)


def _tls(exception: BaseException, place: Place) -> CloudError:
    cause = root_cause(exception, place)
    cure = "check cacert, cert, key and verify in clouds.yaml"
    return CloudError(
        ErrorKind.CONNECTION, f"cloud '{place.cloud}': no TLS connection for {place.asked}: {cause}: {cure}"
    )


def _connection(exception: BaseException, place: Place) -> CloudError:
    cause = root_cause(exception, place)
    cure = "is the API up, and are its address, the network and the proxy right?"
    return CloudError(ErrorKind.CONNECTION, f"cloud '{place.cloud}': no connection for {place.asked}: {cause}: {cure}")


def _unsendable(exception: BaseException, place: Place) -> CloudError:
    """Name what was wrong with a request by its class alone: the text quotes the whole URL or header."""
    original = getattr(exception, "original", None)
    if not isinstance(original, http.RequestException) or isinstance(original, http.ConnectionError):
        return _connection(exception, place)
    what = f"a request cannot be made ({type(original).__name__})"
    return CloudError(ErrorKind.CONNECTION, f"cloud '{place.cloud}': {what}: is auth_url right?")


def _refused(exception: BaseException, place: Place) -> CloudError:
    status = getattr(exception, "http_status", None) or getattr(exception, "status_code", None)
    known = f" (HTTP {status})" if status else ""
    cure = "check username, password, project and domains, or the application credential"
    text = f"Keystone at {address(place.auth_url)} refused the credentials of cloud '{place.cloud}'{known}: {cure}"
    return CloudError(ErrorKind.AUTH, f"{text}, in clouds.yaml or the OS_* variables")


def _locked(_: BaseException, place: Place) -> CloudError:
    cure = "is the account locked or its password expired, or has it no role in the project?"
    text = f"Keystone at {address(place.auth_url)} forbids the login to cloud '{place.cloud}' (HTTP 403): {cure}"
    return CloudError(ErrorKind.AUTH, text)


def _keystone_status(exception: BaseException, place: Place) -> CloudError:
    status = getattr(exception, "http_status", None) or getattr(exception, "status_code", None) or "error"
    said = quote(exception, place)
    text = f"cloud '{place.cloud}': at login {address(place.auth_url)} answered HTTP {status}: {said}"
    return CloudError(ErrorKind.HTTP, f"{text}: is auth_url right?")


def _no_keystone(_: BaseException, place: Place) -> CloudError:
    answered = f" ({place.answer})" if place.answer else ""
    text = f"no Keystone was found at {address(place.auth_url)} for cloud '{place.cloud}'{answered}: check auth_url"
    return CloudError(ErrorKind.PROTOCOL, text)


def _no_login(exception: BaseException, place: Place) -> CloudError:
    text = f"no login to cloud '{place.cloud}' can be made from its configuration: {quote(exception, place)}"
    return CloudError(ErrorKind.AUTH, text)


def _no_endpoint(_: BaseException, place: Place) -> CloudError:
    """Name the regions with a compute endpoint; the kind is `connection`, for there is no address to connect to."""
    if not place.regions:
        cure = "does Keystone know the compute service, and may this project see it?"
        text = f"the catalogue of cloud '{place.cloud}' has no compute endpoint: {cure}"
        return CloudError(ErrorKind.CONNECTION, text)
    wanted = f"{place.interface} compute endpoint" + (f" in region '{place.region}'" if place.region else "")
    there = quote("; ".join(place.regions), place, _MAX_REGIONS)
    text = f"the catalogue of cloud '{place.cloud}' has no {wanted}; it has: {there}: check region_name and interface"
    return CloudError(ErrorKind.CONNECTION, text)


def no_version(place: Place) -> CloudError:
    """Return the error for a compute endpoint that does not say what it is."""
    kind = ErrorKind.HTTP if place.answer and "HTTP 2" not in place.answer else ErrorKind.PROTOCOL
    answered = f" ({place.answer})" if place.answer else ""
    cure = "does the catalogue's compute endpoint, or compute_endpoint_override, lead to Nova?"
    text = (
        f"the compute endpoint of cloud '{place.cloud}' tells no microversions{answered}; 2.59 (Queens) is the minimum"
    )
    return CloudError(kind, f"{text}: {cure}")


def _no_version(_: BaseException, place: Place) -> CloudError:
    return no_version(place)


def _nonsense(exception: BaseException, place: Place) -> CloudError:
    what = place.answer or place.asked or "login"
    text = f"cloud '{place.cloud}': {what}, and that makes no sense ({type(exception).__name__})"
    return CloudError(ErrorKind.PROTOCOL, f"{text}: is there a proxy or another service in front of the API?")


def _of_status(exception: BaseException, place: Place) -> CloudError:
    status = getattr(exception, "status_code", None) or 0
    return status_error(int(status), str(exception), place) if status else _nonsense(exception, place)


#: The first row that fits wins: subclasses stand before their parents. All that requests raises is an OSError.
_TRANSLATIONS: Sequence[tuple[tuple[type[BaseException], ...], _Translate]] = (
    ((ksa.ConnectTimeout, http.Timeout, wire.TimeoutError, TimeoutError), _timeout),
    ((ksa.SSLError, http.SSLError, wire.SSLError), _tls),
    ((ksa.UnknownConnectionError,), _unsendable),
    ((ksa.ConnectionError, http.ConnectionError, http.ChunkedEncodingError), _connection),
    ((ksa.Unauthorized, ksa.AuthorizationFailure), _refused),
    ((ksa.Forbidden,), _locked),
    ((ksa.HttpError,), _keystone_status),
    ((ksa.CatalogException, sdk.EndpointNotFound, sdk.ServiceDisabledException), _no_endpoint),
    ((sdk.NotSupported, sdk.ServiceDiscoveryException), _no_version),
    ((ksa.DiscoveryFailure,), _no_keystone),
    ((ksa.AuthPluginException, ksa.MissingAuthMethods, sdk.ConfigException, ConnectConfigError), _no_login),
    ((sdk.HttpException,), _of_status),
    ((ksa.ClientException, sdk.SDKException, http.RequestException, wire.DecodeError), _nonsense),
    ((wire.HTTPError, OSError), _connection),
    ((ValueError, KeyError, RecursionError), _nonsense),
)


def at(place: Place, method: str | None, url: str | None, seconds: float = 0.0) -> Place:
    """Return the place with the request that is being made there."""
    return replace(place, asked=f"{method} {address(url)}", seconds=seconds)
