"""The web application of the simulated cloud: Keystone under /identity, Nova under /compute."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exporter.demo import by_server, compute, keystone, views
from exporter.demo.compute import Call, Resource
from exporter.demo.keystone import Keystone
from exporter.demo.microversion import HEADER, Microversion, marks, requested
from exporter.demo.nova import Nova
from exporter.demo.refusal import RefusedError, UnauthorizedError
from exporter.demo.settings import Journal, Settings, Trouble

IDENTITY = "/identity"
COMPUTE = "/compute"

Answer = Callable[[Request], Awaitable[Response]]


class CloudApp:
    """Answer requests from a Nova and a Keystone; the settings may be replaced at any time."""

    def __init__(self, nova: Nova, identity: Keystone, settings: Settings, journal: Journal) -> None:
        self.nova = nova
        self.identity = identity
        self.settings = settings
        self.journal = journal

    def asgi(self) -> Starlette:
        """Give the application with all its routes."""
        routes = [
            Route(f"{IDENTITY}{path}", self._watched(IDENTITY, answer), methods=methods)
            for path, answer, methods in (
                ("", self._identity_versions, ["GET"]),
                ("/", self._identity_versions, ["GET"]),
                ("/v3", self._identity_version, ["GET"]),
                ("/v3/", self._identity_version, ["GET"]),
                ("/v3/auth/tokens", self._login, ["POST"]),
                ("/v3/auth/tokens", self._show_token, ["GET"]),
                ("/v3/auth/tokens", self._revoke_token, ["DELETE"]),
            )
        ]
        routes += [
            Route(f"{COMPUTE}{path}", self._watched(f"{COMPUTE}/v2.1", answer), methods=["GET"])
            for path, answer in (
                ("", self._compute_versions),
                ("/", self._compute_versions),
                ("/v2.1", self._compute_version),
                ("/v2.1/", self._compute_version),
                ("/v2.1/os-migrations", self._resource(compute.list_migrations)),
                ("/v2.1/servers/detail", self._resource(compute.list_servers)),
                ("/v2.1/servers/{server_id}", self._resource(compute.show_server)),
                ("/v2.1/servers/{server_id}/migrations", self._resource(by_server.list_migrations)),
                ("/v2.1/servers/{server_id}/os-instance-actions", self._resource(by_server.list_actions)),
                ("/v2.1/servers/{server_id}/os-instance-actions/{request_id}", self._resource(by_server.show_action)),
                ("/v2.1/os-services", self._resource(compute.list_services)),
                ("/v2.1/{rest:path}", self._resource(_no_such_resource)),
            )
        ]
        return Starlette(routes=routes)

    def _watched(self, prefix: str, answer: Answer) -> Answer:
        """Write every request down, and let troubles come in between."""
        return partial(self._watch, prefix, answer)

    async def _watch(self, prefix: str, answer: Answer, request: Request) -> Response:
        path, query = request.url.path.removeprefix(prefix), request.url.query
        trouble = self.journal.trouble_for(path, query)
        if trouble is not None:
            await asyncio.sleep(trouble.delay)
        response = await answer(request) if trouble is None or trouble.status is None else _troubled(trouble)
        response.headers["Date"] = formatdate(self.nova.clock(), usegmt=True)
        self.journal.write(request.method, path, query, request.headers.get(HEADER), response.status_code)
        return response

    # Keystone

    def _url(self, request: Request, path: str) -> str:
        return f"{request.url.scheme}://{request.headers['host']}{path}"

    async def _identity_versions(self, request: Request) -> Response:
        return JSONResponse(keystone.versions(self._url(request, IDENTITY)), status_code=300)

    async def _identity_version(self, request: Request) -> Response:
        return JSONResponse(keystone.version_document(self._url(request, IDENTITY)))

    async def _login(self, request: Request) -> Response:
        try:
            name, token = self.identity.login(await request.json())
        except UnauthorizedError as refused:
            return _unauthorized(refused, self._url(request, IDENTITY))
        except (RefusedError, ValueError):
            error = {"code": 400, "message": "The request body is not valid.", "title": "Bad Request"}
            return JSONResponse({"error": error}, status_code=400)
        body = self.identity.token_body(token, self._endpoints(request))
        return JSONResponse(body, status_code=201, headers={"X-Subject-Token": name, "Vary": "X-Auth-Token"})

    def _endpoints(self, request: Request) -> dict[str, str]:
        return {"identity": self._url(request, IDENTITY), "compute": self._url(request, f"{COMPUTE}/v2.1")}

    async def _show_token(self, request: Request) -> Response:
        subject = request.headers.get("X-Subject-Token", "")
        try:
            self.identity.token(request.headers.get("X-Auth-Token"))
        except UnauthorizedError as refused:
            return _unauthorized(refused, self._url(request, IDENTITY))
        try:
            body = self.identity.token_body(self.identity.token(subject), self._endpoints(request))
        except UnauthorizedError:
            error = {"code": 404, "message": f"Could not find token: {subject}.", "title": "Not Found"}
            return JSONResponse({"error": error}, status_code=404)
        return JSONResponse(body, headers={"X-Subject-Token": subject, "Vary": "X-Auth-Token"})

    async def _revoke_token(self, request: Request) -> Response:
        self.identity.revoke(request.headers.get("X-Subject-Token", ""))
        return Response(status_code=204)

    # Nova

    async def _compute_versions(self, request: Request) -> Response:
        return JSONResponse(views.versions(self._url(request, COMPUTE), self.settings.max_microversion))

    async def _compute_version(self, request: Request) -> Response:
        def answer(_: Microversion) -> dict[str, Any]:
            url = self._url(request, f"{COMPUTE}/v2.1")
            return views.version_document(url, self.settings.max_microversion)

        return self._versioned(request, answer)

    def _resource(self, resource: Resource) -> Answer:
        async def answer(request: Request) -> Response:
            # The middleware for tokens stands before Nova: it is asked before the microversion.
            try:
                account = self.identity.token(request.headers.get("X-Auth-Token")).account
            except UnauthorizedError as refused:
                return _unauthorized(refused, self._url(request, IDENTITY))

            def body(version: Microversion) -> dict[str, Any]:
                call = Call(
                    nova=self.nova,
                    settings=self.settings,
                    account=account,
                    version=version,
                    url=self._url(request, f"{COMPUTE}/v2.1"),
                    query=request.query_params.multi_items(),
                    path=request.path_params,
                )
                return resource(call)

            return self._versioned(request, body)

        return answer

    def _versioned(self, request: Request, body: Callable[[Microversion], dict[str, Any]]) -> Response:
        """Answer in the microversion asked for, with Nova's headers."""
        identity = f"req-{uuid.uuid4()}"
        headers = {"x-openstack-request-id": identity, "x-compute-request-id": identity}
        try:
            version = requested(request.headers, self.settings.max_microversion)
            headers |= marks(version)
            return JSONResponse(body(version), headers=headers)
        except NoSuchPathError:
            return _no_such_path(request, headers)
        except RefusedError as refused:
            return _refused(refused, headers)


class NoSuchPathError(LookupError):
    """A path that Nova's router does not know; refused before there is a microversion."""


def _no_such_resource(_: Call) -> dict[str, Any]:
    raise NoSuchPathError


def _no_such_path(request: Request, headers: dict[str, str]) -> Response:
    kept = {name: value for name, value in headers.items() if name.endswith("request-id")}
    message = "The resource could not be found."
    if "json" in request.headers.get("Accept", ""):
        body = {"message": f"{message}<br /><br />\n\n\n", "code": "404 Not Found", "title": "Not Found"}
        return JSONResponse(body, status_code=404, headers=kept)
    page = _NOT_FOUND_PAGE.format(message=message)
    return Response(page, status_code=404, headers={**kept, "Content-Type": "text/html; charset=UTF-8"})


# webob/exc.py WSGIHTTPException.html_template_obj
_NOT_FOUND_PAGE = """\
<html>
 <head>
  <title>404 Not Found</title>
 </head>
 <body>
  <h1>404 Not Found</h1>
  {message}<br /><br />



 </body>
</html>"""


def _refused(refused: RefusedError, headers: dict[str, str]) -> Response:
    response = JSONResponse(refused.body(), status_code=refused.status, headers={**headers, **refused.headers})
    response.headers["Content-Type"] = "application/json; charset=UTF-8"
    return response


def _unauthorized(refused: UnauthorizedError, url: str) -> Response:
    return JSONResponse(refused.body(), status_code=401, headers={"WWW-Authenticate": f'Keystone uri="{url}"'})


def _troubled(trouble: Trouble) -> Response:
    return Response(trouble.body, status_code=trouble.status or 200, headers=dict(trouble.headers))
