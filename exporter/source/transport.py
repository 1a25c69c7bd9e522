"""Send every request of a cloud, login and discovery included: bounded in time and size, tried again where that helps.

This sits below keystoneauth (keystoneauth1/session.py, `_construct_session` mounts an adapter of its own), because up
there a timeout holds for one read of the socket only, and failures of discovery are swallowed and become other errors.
"""

from __future__ import annotations

import io
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity
import urllib3.exceptions as wire
from keystoneauth1.session import TCPKeepAliveAdapter
from requests import PreparedRequest, Response
from requests import exceptions as http

from exporter.domain.cloud import CloudError, ErrorKind, Request
from exporter.source.errors import Place, address, at, cloud_error, deadline_error
from exporter.source.pace import Pace, paced_pools

TRIES = 3
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0

#: Bytes that one answer may have, unpacked: four times the longest page of a thousand migrations, and enough for the
#: services of twenty thousand hosts. As Python's objects it may need forty times as much for a moment.
MAX_BYTES = 8 * 1024 * 1024

_PIECE = 64 * 1024
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500

#: Requests kept for one drain; more than a poll makes.
_MAX_REQUESTS = 10_000

#: The name of a request by its method and the end of its path; the first row that fits wins.
_OPERATIONS: Sequence[tuple[str, re.Pattern[str], str]] = tuple(
    (method, re.compile(pattern), name)
    for method, pattern, name in (
        ("POST", r"/auth/tokens/?$|/tokens/?$", "authenticate"),
        ("GET", r"/os-migrations/?$", "list_migrations"),
        ("GET", r"/servers/detail$|/servers$", "list_servers"),
        ("GET", r"/servers/[^/]+$", "show_server"),
        ("GET", r"/servers/[^/]+/migrations$", "list_server_migrations"),
        ("GET", r"/servers/[^/]+/os-instance-actions$", "list_server_actions"),
        ("GET", r"/servers/[^/]+/os-instance-actions/[^/]+$", "show_server_action"),
        ("GET", r"/os-services$", "list_services"),
    )
)

#: Every operation there is: the closed list of the label `operation`.
OPERATIONS: tuple[str, ...] = ("discover", *dict.fromkeys(name for _, _, name in _OPERATIONS))


def operation_of(method: str | None, url: str | None) -> str:
    """Return the name of a request."""
    path = address(url)
    found = (name for verb, pattern, name in _OPERATIONS if verb == method and pattern.search(path))
    return next(found, "discover")


class Transport(TCPKeepAliveAdapter):
    """An adapter for requests; what it raises is CloudError, which keystoneauth lets through untouched.

    `timeout` is in seconds and holds for each wait for the socket. `deadline` is set before each question.
    """

    def __init__(
        self,
        timeout: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.pace = Pace(timeout, monotonic)
        self.place = Place(cloud="")
        self.last_answer: str | None = None
        self._pools = paced_pools(self.pace)
        self._monotonic = monotonic
        self._wait = wait
        self._max_bytes = max_bytes
        self._requests: deque[Request] = deque(maxlen=_MAX_REQUESTS)
        super().__init__()

    def drain(self) -> tuple[Request, ...]:
        """Return the requests made since the last call, every try by itself."""
        made = tuple(self._requests)
        self._requests.clear()
        return made

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of connections, whose every read looks at the clock."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pool of connections to a proxy, likewise."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def send(self, request: PreparedRequest, *_: Any, **options: Any) -> Response:
        """Send a request, and again where that may help, and read its whole answer.

        Raises CloudError where there is no answer. An HTTP error is an answer.
        """
        for unwanted in ("stream", "timeout"):
            options.pop(unwanted, None)
        retrying = tenacity.Retrying(
            sleep=self._wait,
            stop=self._must_stop,
            wait=_pause,
            retry=_worth_another_try,
            retry_error_callback=_last_outcome,
        )
        return retrying(self._try, request, options)

    def _try(self, request: PreparedRequest, options: dict[str, Any]) -> Response:
        started = self._monotonic()
        code = ErrorKind.PROTOCOL.value
        try:
            response = self._answer(request, options)
            code = str(response.status_code)
            self.last_answer = f"{request.method} {address(request.url)} answered HTTP {code}"
            return response
        except Exception as exception:
            error = self._error(exception, request)
            code = error.kind.value
            raise error from exception
        finally:
            operation = operation_of(request.method, request.url)
            self._requests.append(Request(operation, code, self._monotonic() - started))

    def _answer(self, request: PreparedRequest, options: dict[str, Any]) -> Response:
        response = super().send(request, stream=True, timeout=self.pace.next_wait(), **options)
        try:
            response.raw = self._body(response)
        except BaseException:
            response.close()
            raise
        return response

    def _body(self, response: Response) -> io.BytesIO:
        body = io.BytesIO()
        try:
            for piece in response.raw.stream(_PIECE, decode_content=True):
                self.pace.next_wait()
                if body.tell() + len(piece) > self._max_bytes:
                    text = f"cloud '{self.place.cloud}': {address(response.url)} answered more than {self._max_bytes} bytes"
                    raise CloudError(ErrorKind.PROTOCOL, text)
                body.write(piece)
        except BaseException:
            body.close()  # what was raised keeps this frame for a while
            raise
        body.seek(0)
        return body

    def _error(self, exception: Exception, request: PreparedRequest) -> CloudError:
        place = at(self.place, request.method, request.url, self.pace.timeout)
        error = cloud_error(exception, place)
        if error.kind is ErrorKind.TIMEOUT and self.pace.is_over():
            return deadline_error(place)
        return error

    def _must_stop(self, state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= TRIES or state.upcoming_sleep >= self.pace.left()


def _worth_another_try(state: tenacity.RetryCallState) -> bool:
    response, exception = _outcome(state)
    if response is not None:
        return response.status_code == _TOO_MANY_REQUESTS or response.status_code >= _SERVER_ERROR
    if not isinstance(exception, CloudError) or exception.kind is not ErrorKind.CONNECTION:
        return False
    return not isinstance(exception.__cause__, http.SSLError | wire.SSLError)


def _pause(state: tenacity.RetryCallState) -> float:
    asked = _retry_after(state)
    if asked is not None:
        return asked
    return float(min(FIRST_PAUSE * 2 ** (state.attempt_number - 1), LONGEST_PAUSE))


def _retry_after(state: tenacity.RetryCallState) -> float | None:
    """Return the seconds that the API asks to wait, or those from its Date to the date it names; else None."""
    response, _ = _outcome(state)
    if response is None:
        return None
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    asked, now = _moment(text), date_of(response)
    return None if asked is None or now is None else max(0.0, asked - now)


def _last_outcome(state: tenacity.RetryCallState) -> Response:
    response, exception = _outcome(state)
    if response is None:
        raise exception or RuntimeError("a try without an outcome")
    return response


def _outcome(state: tenacity.RetryCallState) -> tuple[Response | None, BaseException | None]:
    """Return the answer of the last try, or what it raised."""
    outcome = state.outcome
    if outcome is None or outcome.failed:
        return None, outcome.exception() if outcome else None
    return outcome.result(), None


def date_of(response: Response) -> float | None:
    """Return the API's time of an answer in seconds since the epoch."""
    return _moment(response.headers.get("Date", ""))


def _moment(text: str) -> float | None:
    """Return a date of HTTP in seconds since the epoch; None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
