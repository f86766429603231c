"""The JSON API under ``/api/v1``, for scripts and other systems: bearer tokens, never cookies.

``register(app, house)`` puts it, and the health routes, into the application. Exceptions become answers in
``web.errors``, as everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from pydantic import ValidationError
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, TooManyRequests, Unauthorized, UnsupportedMediaType
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput
from house import House
from models import ApiToken, User
from web import access
from web.api import health, tokens
from web.api.bodies import Asked
from web.api.openapi import document
from web.api.operations import JSON, OPERATIONS, Call, Operation

PREFIX = "/api/v1"


def register(app: Flask, house: House) -> None:
    """Adds the blueprints ``api`` and ``health``."""
    app.register_blueprint(blueprint(house))
    app.register_blueprint(health.blueprint(house))


def blueprint(house: House) -> Blueprint:
    api = Blueprint("api", __name__, url_prefix=PREFIX)
    limit = tokens.RateLimit(house.settings.api.requests_per_minute)
    for operation in OPERATIONS:
        view = _view(house, operation, limit)
        api.add_url_rule(operation.path, endpoint=operation.name, view_func=view, methods=[operation.method])
    api.add_url_rule("/openapi.json", endpoint="openapi", view_func=_openapi)
    return api


def _view(house: House, operation: Operation, limit: tokens.RateLimit) -> Callable[..., BaseResponse]:
    def view(**path: Any) -> BaseResponse:
        token = _token(house)
        wait = limit.take(token.id)
        if wait is not None:
            most = f"This token may call {limit.per_minute} times a minute."
            raise TooManyRequests(f"{most} Wait {wait} seconds.", retry_after=wait)
        g.user = token.user  # from here on the rules of web.access are theirs
        if operation.writes:
            access.refuse_readers(token.user)
        if operation.of_a_case and operation.writes:  # what is read leaves them out by itself
            access.check_visible(path["number"])
        query = _query(operation.query) if operation.query else None
        body = _body(operation.body) if operation.body else None
        opened = house.database.transaction() if operation.writes else house.database.read()
        with opened as db:
            user = db.get_one(User, token.user_id) if operation.writes else token.user
            answer, status = operation.run(Call(house, db, user, g.now, query, body, _accepted(operation)), **path)
        if isinstance(answer, BaseResponse):
            return answer
        return _json(answer, status) if answer is not None else Response(status=status)

    return view


def _token(house: House) -> ApiToken:
    """Who asks: the header alone says it, whatever cookies come along."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        with house.database.read() as db:
            found = tokens.find(db, value.strip())
        if found is not None:
            return found
    challenge = WWWAuthenticate("bearer", {"realm": "gensvar"})
    raise Unauthorized("Send the header Authorization: Bearer TOKEN with a valid token.", www_authenticate=challenge)


def _query(shape: type[Asked]) -> Asked:
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if filled := [value for value in values if value]:  # ?status= is as if it were not there
            field = shape.model_fields.get(name)
            several = field is not None and field.default == []
            given[name] = filled if several else filled[-1]
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        raise _refused(error, depth=1) from None


def _body(shape: type[Asked]) -> Asked:
    if not request.is_json:
        raise UnsupportedMediaType("Send JSON, with the header Content-Type: application/json.")
    try:
        return shape.model_validate_json(request.get_data(), strict=True)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise BadRequest(f"The body is not JSON: {error.errors()[0]['msg'].partition(': ')[2]}.") from None
        raise _refused(error, depth=9) from None


def _accepted(operation: Operation) -> str:
    """What who asks would rather have, of what there is."""
    return request.accept_mimetypes.best_match([JSON, *operation.files]) or JSON


def _refused(error: ValidationError, *, depth: int) -> InvalidInput:
    fields = {
        ".".join(map(str, one["loc"][:depth])) or "body": one["msg"].removeprefix("Value error, ")
        for one in error.errors()
    }
    listed = "; ".join(f"{name}: {remedy}" for name, remedy in fields.items())
    return InvalidInput(f"This cannot be accepted. {listed}", fields)


def _openapi() -> Response:
    return Response(_document(), mimetype="application/json")


@cache
def _document() -> str:
    return json.dumps(document(OPERATIONS, PREFIX), ensure_ascii=False)


def _json(answer: Any, status: int) -> Response:
    return Response(json.dumps(answer, ensure_ascii=False), status=status, mimetype="application/json")
