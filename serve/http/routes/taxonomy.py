"""The taxonomy that answers are in."""

from __future__ import annotations

from fastapi import APIRouter

from serve.http.openapi import problems
from serve.http.schemas import TaxonomyResponse, taxonomy_response
from serve.http.service import Serving

router = APIRouter(tags=["route"])


@router.get(
    "/v1/taxonomy",
    operation_id="get_taxonomy",
    summary="The active taxonomy",
    responses=problems({503: "The service is starting or stopping, or its engine has died."}),
)
async def get_taxonomy(active: Serving) -> TaxonomyResponse:
    """The active taxonomy: its version, its depth and every leaf with its team and workflow."""
    return taxonomy_response(active.router.pair.taxonomy)
