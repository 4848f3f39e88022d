"""What OpenAPI shows beyond what FastAPI sees: problems, and bodies that are read by hand."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve.http.checkpoint_schemas import ActivationBody, TrialBody
from serve.http.problems import MEDIA_TYPE
from serve.http.schemas import Problem, RouteRequest

_SCHEMAS: Final = "#/components/schemas/{model}"
_ANY_OTHER: Final = "Any other problem, such as an unexpected error (500)."
Responses = dict[int | str, dict[str, Any]]


class DocumentedApi(FastAPI):
    """An app whose document also holds the models that no route declares to FastAPI."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            _, definitions = models_json_schema(
                [(model, "validation") for model in (Problem, RouteRequest, ActivationBody, TrialBody)],
                ref_template=_SCHEMAS,
            )
            super().openapi()["components"]["schemas"] |= definitions["$defs"]
        return super().openapi()


def problems(said: dict[int, str]) -> Responses:
    """The problems that an operation may answer, by status, and that there may be others."""
    content = {MEDIA_TYPE: {"schema": _reference(Problem)}}
    responses: Responses = {status: {"description": text, "content": content} for status, text in said.items()}
    return responses | {"default": {"description": _ANY_OTHER, "content": content}}


def request_body(model: type[BaseModel], *, required: bool) -> dict[str, Any]:
    """What an operation is sent, for `openapi_extra`."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": _reference(model)}}}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMAS.format(model=model.__name__)}
