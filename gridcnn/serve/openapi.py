"""The description of the server's paths, in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from gridcnn.serve.limits import Limits
from gridcnn.serve.models import Models
from gridcnn.version import VERSION

_JSON = "application/json"


def openapi(models: Models, limits: Limits, *, token: bool) -> dict[str, Any]:
    """Return the description of a server, with the names of its models."""
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": models.names},
    }
    about: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "gridcnn", "version": VERSION},
        "paths": {
            "/predict": {
                "post": _predict(limits, "Classify items with the first model.", token=token)
            },
            "/models/{name}/predict": {
                "parameters": [name],
                "post": _predict(limits, "Ask a model.", token=token, named=True),
            },
            "/explain": {"post": _explain(limits, token=token)},
            "/models/{name}/explain": {
                "parameters": [name],
                "post": _explain(limits, token=token, named=True),
            },
            "/model": {"get": _get("Describe the first model.", "Model", token=token)},
            "/models": {"get": _get("The names of all models.", "Names", token=token)},
            "/models/{name}": {
                "parameters": [name],
                "get": _get("Describe a model.", "Model", token=token, named=True),
            },
            "/health": {"get": _get("Whether the server answers.", "Health")},
            "/metrics": {"get": _metrics(token=token)},
            "/openapi.json": {"get": _get("This description.", None, token=token)},
        },
        "components": {"schemas": _schemas()},
    }
    if token:
        about["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return about


def _answer(about: str, schema: str | None) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "object"}
    if schema is not None:
        kind = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": about, "content": {_JSON: {"schema": kind}}}


def _refusals(*, token: bool, named: bool) -> dict[str, Any]:
    answers = {
        "403": _answer(
            "The request comes from another web site, or uses another host name.", "Errors"
        )
    }
    if token:
        answers["401"] = _answer("The token is missing or wrong.", "Errors")
    if named:
        answers["404"] = _answer("There is no such model.", "Errors")
    return answers


def _get(
    about: str, schema: str | None, *, token: bool = False, named: bool = False
) -> dict[str, Any]:
    responses = {"200": _answer(about, schema), **_refusals(token=token, named=named)}
    return {"summary": about, "responses": responses, **_security(token)}


def _metrics(*, token: bool) -> dict[str, Any]:
    text = {"description": "Counts.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    responses = {"200": text, **_refusals(token=token, named=False)}
    return {"summary": "Counts for Prometheus.", "responses": responses, **_security(token)}


def _security(token: bool) -> dict[str, Any]:
    return {"security": [{"token": []}]} if token else {}


def _predict(limits: Limits, about: str, *, token: bool, named: bool = False) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "description": f"One part for each item, of any name; {limits.items} at most.",
        "properties": {"file": {"type": "array", "items": file}},
    }
    bodies: dict[str, Any] = {
        "multipart/form-data": {"schema": form},
        _JSON: {"schema": {"$ref": "#/components/schemas/Items"}},
        "application/octet-stream": {"schema": file},
        "text/plain": {"schema": {"type": "string"}},
        "text/csv": {"schema": {"type": "string"}},
    }
    responses = {
        "200": _answer("All items have an answer.", "Answers"),
        "400": _answer("The request is damaged.", "Errors"),
        "408": _answer("The request arrived too slowly.", "Errors"),
        "413": _answer("The request is too large.", "Errors"),
        "415": _answer("The type of the body is not supported.", "Errors"),
        "422": _answer("Some items, or all, have no answer.", "Errors"),
        "431": _answer("The headers are too large.", "Errors"),
        "503": _answer("Too many requests wait; see Retry-After.", "Errors"),
        **_refusals(token=token, named=named),
    }
    return {
        "summary": about,
        "requestBody": {"required": True, "content": bodies},
        "responses": responses,
        **_security(token),
    }


def _explain(limits: Limits, *, token: bool, named: bool = False) -> dict[str, Any]:
    about = _predict(limits, "Explain the answer to one item, as a page.", token=token, named=named)
    page = {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}}
    return {**about, "responses": {**about["responses"], "200": page}}


def _schemas() -> dict[str, Any]:
    text = {"type": "string"}
    texts = {"type": "array", "items": text}
    label = {"type": ["string", "integer"]}
    votes = {"type": "object", "additionalProperties": {"type": "number"}}
    answer = {
        "type": "object",
        "properties": {
            "item": text,
            "answer": {"anyOf": [label, {"type": "array", "items": label}]},
            "votes": votes,
            "error": text,
        },
        "required": ["item"],
    }
    answers = {
        "model": text,
        "answers": {"type": "array", "items": answer},
        "notes": texts,
    }
    item = {
        "description": "A text; numbers in lists, null if missing; a row by names of columns; "
        "or a file.",
        "anyOf": [
            text,
            {"type": "array"},
            {"type": "object"},
            {"type": "object", "properties": {"base64": text}, "required": ["base64"]},
        ],
    }
    several = {"items": {"type": "array", "items": item}, "dtype": _dtype()}
    one = {"item": item, "dtype": _dtype()}
    closed: dict[str, Any] = {"type": "object", "additionalProperties": False}
    return {
        "Items": {
            "oneOf": [
                {**closed, "properties": several, "required": ["items"]},
                {**closed, "properties": one, "required": ["item"]},
            ]
        },
        "Answers": {"type": "object", "properties": answers, "required": ["model", "answers"]},
        "Errors": {
            "type": "object",
            "properties": {**answers, "errors": texts},
            "required": ["errors"],
        },
        "Model": {
            "type": "object",
            "properties": {
                "name": text,
                "takes": {"enum": ["text", "numbers", "file"]},
                "classes": {"type": "array", "items": label},
                "several": {"type": "boolean"},
                "version": text,
            },
            "required": ["name", "takes", "classes", "several", "version"],
        },
        "Names": {"type": "object", "properties": {"models": texts}, "required": ["models"]},
        "Health": {
            "type": "object",
            "properties": {"status": {"const": "ok"}, "version": text},
            "required": ["status", "version"],
        },
    }


def _dtype() -> dict[str, Any]:
    return {"enum": ["uint8", "uint16", "float32", "bool"]}
