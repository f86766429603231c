"""The OpenAPI 3.1 document, made from the table of operations and the types they take and give."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from web.api.operations import Operation
from web.api.shapes import ErrorShape

JSON = dict[str, Any]


def document(operations: Sequence[Operation], prefix: str) -> JSON:
    """The whole document. ``prefix``: what stands before each path."""
    schemas = _Schemas(operations)
    paths: dict[str, JSON] = {}
    for operation in operations:
        path = prefix + re.sub(r"<int:(\w+)>", r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    itself = {"200": {"description": "OK", "content": _content({"type": "object"})}}
    paths[f"{prefix}/openapi.json"] = {
        "get": {"operationId": "openapi", "summary": "This document", "security": [], "responses": itself}
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gensvar",
            "version": "1",
            "description": "Cases, mentions and replies. Times are RFC 3339 in UTC; people are e-mail addresses.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "made with: gensvar token create"}
            },
            "schemas": schemas.definitions,
        },
    }


class _Schemas:
    """JSON Schemas of every type in the table; what they share stands once, in ``definitions``."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        taken = {shape for operation in operations for shape in (operation.query, operation.body) if shape}
        given = {shape for operation in operations for shape in operation.answers.values() if shape} | {ErrorShape}
        schemas, shared = TypeAdapter.json_schemas(
            [(shape, "validation", TypeAdapter(shape)) for shape in sorted(taken, key=_name)]
            + [(shape, "serialization", TypeAdapter(shape)) for shape in sorted(given, key=_name)],
            ref_template="#/components/schemas/{model}",
        )
        self._schemas = {key[0]: _named(schema) for key, schema in schemas.items()}
        self.definitions: JSON = _named(shared["$defs"])

    def of(self, shape: type) -> JSON:
        schema: JSON = self._schemas[shape]
        return schema

    def parameters(self, shape: type) -> list[JSON]:
        """The fields of an object, as parameters of a query."""
        schema = self.of(shape)
        schema = self.definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        needed = schema.get("required", ())
        return [_parameter(name, field, name in needed) for name, field in schema["properties"].items()]


def _name(shape: type) -> str:
    return shape.__name__


def _named(schema: Any) -> Any:
    """CaseShape is called Case outside, and a default of null says nothing."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
        return {key.removesuffix("Shape"): _named(value) for key, value in kept.items()}
    if isinstance(schema, list):
        return [_named(value) for value in schema]
    return schema.removesuffix("Shape") if isinstance(schema, str) else schema


def _operation(operation: Operation, schemas: _Schemas) -> JSON:
    parameters: list[JSON] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
        for name in re.findall(r"<int:(\w+)>", operation.path)
    ]
    if operation.query:
        parameters += schemas.parameters(operation.query)
    described: JSON = {"operationId": operation.name, "summary": operation.summary, "parameters": parameters}
    if operation.body:
        described["requestBody"] = {"required": True, "content": _content(schemas.of(operation.body))}
    described["responses"] = {str(status): _response(operation, status, schemas) for status in operation.statuses}
    return described


def _parameter(name: str, schema: JSON, required: bool) -> JSON:
    schema = dict(schema)
    described: JSON = {"name": name, "in": "query", "required": required}
    if "description" in schema:
        described["description"] = schema.pop("description")
    return described | {"schema": schema}


def _response(operation: Operation, status: int, schemas: _Schemas) -> JSON:
    described: JSON = {"description": HTTPStatus(status).phrase}
    shape = operation.answers.get(status, ErrorShape)
    if shape is not None:
        described["content"] = _content(schemas.of(shape))
    if operation.files and status == HTTPStatus.OK:
        described["content"] |= {each: {"schema": {"type": "string"}} for each in operation.files}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        described["headers"] = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
    return described


def _content(schema: JSON) -> JSON:
    return {"application/json": {"schema": schema}}
