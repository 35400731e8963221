"""The OpenAPI description of the HTTP API, made from the table of routes and the structs of `messages/api.py`."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

import msgspec

from dora.daemon.calls import Query
from dora.daemon.problems import STATUS
from dora.daemon.routes import ROUTES, Route
from dora.messages import api
from dora.version import VERSION

_REF: Final = "#/components/schemas/{name}"
_TYPES: Final[dict[type, str]] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ALWAYS: Final = (api.WRONG_REQUEST, api.WRONG_TOKEN, api.WRONG_VERSION, api.INTERNAL)


def describe() -> dict[str, Any]:
    """The description as a JSON document."""
    structs = {route.answer for route in ROUTES} | {route.body for route in ROUTES if route.body} | {api.Problem}
    structs |= {api.StateEvent}
    _, components = msgspec.json.schema_components(sorted(structs, key=lambda one: one.__name__), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dora",
            "version": str(api.VERSION),
            "description": f"The background service of dora {VERSION}: dataflows of one user on one machine. "
            f"Clients may send a header `{api.VERSION_HEADER}: {api.VERSION}`; another number is refused. "
            "`GET /v1/events` and `GET /v1/dataflows/{dataflow}/logs` stream JSON lines, "
            "and as WebSockets one JSON message each.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: _cleaned(schema) for name, schema in components.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", route.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]
    parameters += [_parameter(query) for query in route.query]
    answers: dict[str, Any] = {"200": {"description": "Done.", **_content(route.answer)}}
    for code in sorted({*_ALWAYS, *route.problems}, key=lambda code: STATUS[code]):
        answer = answers.setdefault(str(STATUS[code]), {"description": "", **_content(api.Problem)})
        answer["description"] = ", ".join(filter(None, (answer["description"], f"`{code}`")))
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.doc,
        "parameters": parameters,
        "responses": answers,
    }
    if route.body is not None:
        answers["413"] = {"description": "The body is too long.", **_content(api.Problem)}
        needs_body = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {"required": needs_body, **_content(route.body)}
    return operation


def _parameter(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _TYPES[query.type]}
    if query.choices:
        schema["enum"] = list(query.choices)
    if query.default is not None:
        schema["default"] = query.default
    return {"name": query.name, "in": "query", "required": False, "description": query.doc, "schema": schema}


def _content(struct: type) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": _REF.format(name=struct.__name__)}}}}


def _cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """Docstrings without the indentation that they have in the code."""
    if "description" in schema:
        schema = {**schema, "description": inspect.cleandoc(schema["description"])}
    return schema
