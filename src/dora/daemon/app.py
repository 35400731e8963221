"""The HTTP side of the service: requests are checked against their row, done, and answered as JSON.

Strategy: Starlette routes, one closure per row of `routes.py`; streams (events, logs) are JSON lines over HTTP and
single messages over WebSocket, from the same generators.  Whatever goes wrong is an `api.Problem`: a mistake of the
client's with what was expected, one of ours with a line in the service's log.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.routing import Route as HttpRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from dora.daemon import openapi, streams
from dora.daemon.calls import Call, Query
from dora.daemon.problems import STATUS, ApiError, problem_of
from dora.daemon.routes import ROUTES, Route
from dora.daemon.service import Service
from dora.errors import DoraError
from dora.messages import api
from dora.version import VERSION

MAX_BODY_BYTES: Final = 4 << 20
"""an environment of 2 MB is the most that Linux lets a process have"""
BODY_PATIENCE_S: Final = 10.0
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_TRUE, _FALSE = ("true", "1", ""), ("false", "0")

log: Final = logging.getLogger("dora.daemon")


def make_app(service: Service) -> Starlette:
    """The application, for a server or a test."""
    routes: list[BaseRoute] = []
    for path in dict.fromkeys(route.path for route in ROUTES):
        by_method = {route.method: route for route in ROUTES if route.path == path}
        pattern = path.replace("{key}", "{key:path}")  # keys may hold slashes
        routes.append(HttpRoute(pattern, partial(_endpoint, service, by_method), methods=list(by_method)))
    for path, stream in streams.STREAMS.items():
        routes.append(HttpRoute(path, partial(_lines, service, stream), methods=["GET"]))
        routes.append(WebSocketRoute(path, partial(_messages, service, stream)))
    routes.append(HttpRoute("/health", lambda _: PlainTextResponse("ok"), methods=["GET"]))
    document = JSONResponse(openapi.describe()).body
    routes.append(HttpRoute("/openapi.json", lambda _: Response(document, media_type=_JSON), methods=["GET"]))
    handlers: dict[Any, Callable[..., Any]] = {HTTPException: _http_problem, Exception: _internal_problem}
    return Starlette(routes=routes, exception_handlers=handlers)


def problem_response(problem: api.Problem, status: int | None = None) -> Response:
    """A problem as an answer."""
    return Response(api.encode(problem), status or STATUS[problem.code], media_type=_JSON)


async def _endpoint(service: Service, by_method: Mapping[str, Route], request: Request) -> Response:
    route = by_method.get(request.method, by_method.get("GET"))  # HEAD is GET without its body
    assert route is not None  # starlette has looked
    try:
        _check_version(request)
        _check_path(request)
        call = Call(service, request.path_params, _query(route.query, request), await _body(route, request))
        return Response(api.encode(await route.handler(call)), media_type=_JSON)
    except DoraError as error:
        return problem_response(problem_of(error))
    except _TooLong:
        message = f"the body is longer than {MAX_BODY_BYTES} bytes"
        return problem_response(api.Problem(code=api.WRONG_REQUEST, message=message), 413)
    except ClientDisconnect:
        return Response(status_code=400)


async def _lines(service: Service, stream: streams.Stream, request: Request) -> Response:
    try:
        _check_version(request)
        lines = await stream.open(service, request.path_params, _query(stream.query, request))
    except DoraError as error:
        return problem_response(problem_of(error))

    async def with_ends() -> AsyncIterator[bytes]:
        async for line in lines:
            yield line + b"\n"

    return StreamingResponse(with_ends(), media_type=_LINES)


async def _messages(service: Service, stream: streams.Stream, socket: WebSocket) -> None:
    try:
        _check_version(socket)
        lines = await stream.open(service, socket.path_params, _query(stream.query, socket))
    except DoraError as error:
        await socket.accept()
        await socket.send_text(api.encode(problem_of(error)).decode())
        await socket.close(1008)
        return
    await socket.accept()
    try:
        async for line in lines:
            await socket.send_text(line.decode())
        await socket.close()
    except (WebSocketDisconnect, RuntimeError):  # starlette raises the second after the client has gone
        return


def _check_path(request: HTTPConnection) -> None:
    """Starlette's patterns end before a last line break, so `gain%0A` would be taken for `gain`."""
    if "\n" in request.scope["path"]:
        raise ApiError(api.WRONG_REQUEST, "the path holds a line break")


def _check_version(request: HTTPConnection) -> None:
    stated = request.headers.get(api.VERSION_HEADER)
    if stated is not None and stated != str(api.VERSION):
        raise ApiError(
            api.WRONG_VERSION,
            f"this service (dora {VERSION}) speaks version {api.VERSION} of its API, the client version {stated[:20]}",
            "`dora down --keep` and `dora up` with the dora of the client; running dataflows go on",
        )


def _query(known: tuple[Query, ...], request: HTTPConnection) -> dict[str, Any]:
    stated = request.query_params
    names = [query.name for query in known]
    for name in stated:
        if name not in names:
            expected = f"known: {', '.join(names)}" if names else "there are none here"
            raise ApiError(api.WRONG_REQUEST, f"unknown query parameter `{name[:40]}` ({expected})")
    return {query.name: _value(query, stated.get(query.name)) for query in known}


def _value(query: Query, text: str | None) -> Any:
    if text is None:
        return query.default
    if query.choices and text not in query.choices:
        raise ApiError(api.WRONG_REQUEST, f"`{query.name}` must be one of {', '.join(query.choices)}")
    if query.type is bool:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ApiError(api.WRONG_REQUEST, f"`{query.name}` must be true or false")
        return text.lower() in _TRUE
    try:
        value = query.type(text)
    except ValueError:
        raise ApiError(api.WRONG_REQUEST, f"`{query.name}` must be a number, got {text[:40]!r}") from None
    if (query.type is float and not math.isfinite(value)) or (query.type is int and abs(value) > 2**63):
        raise ApiError(api.WRONG_REQUEST, f"`{query.name}` is out of range")
    return value


class _TooLong(Exception):
    pass


async def _read(request: Request) -> bytes:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise _TooLong
    return data


async def _body(route: Route, request: Request) -> Any:
    try:
        data = await asyncio.wait_for(_read(request), BODY_PATIENCE_S)
    except asyncio.TimeoutError:
        raise ApiError(api.WRONG_REQUEST, f"the body did not arrive within {BODY_PATIENCE_S:g} s") from None
    if route.body is None:
        return None
    kind = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if kind != _JSON:  # also: a web page of another origin cannot send this without being asked first (CORS)
        raise ApiError(api.WRONG_REQUEST, f"the body must be {_JSON}, not {kind[:40]!r}")
    try:
        return msgspec.json.decode(data or b"{}", type=route.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ApiError(api.WRONG_REQUEST, f"wrong body: {error}") from None


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # registered for those
    problem = api.Problem(code=api.WRONG_REQUEST, message=f"{request.method} {request.url.path[:200]}: {error.detail}")
    response = problem_response(problem, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _internal_problem(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return problem_response(api.Problem(code=api.INTERNAL, message=f"{type(error).__name__}: {error}"))
