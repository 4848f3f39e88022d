"""What passes over HTTP, as `docs` and OpenAPI show it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from serve.routing.answer import Answer
from serve.routing.pair import Pair
from taxonomy.labels import LEVELS
from taxonomy.tree import Taxonomy

EXAMPLE: Final = "I bought it in May. The picture at night is blurry, and the parcel came two weeks late."


ANSWER_EXAMPLE: Final[dict[str, Any]] = {
    "id": "review-4711",
    "checkpoint": "ck_0123456789abcdef",
    "taxonomy": "tx_0123456789abcdef",
    "needs_review": False,
    "segments": [
        {
            "content": "The picture at night is blurry, ",
            "start": 20,
            "end": 52,
            "L1": "Hardware - Picture and Sound",
            "L2": "Night Vision",
            "L3": "Sharpness",
            "L4": "Blurry at Night",
            "emotion": "negative",
            "confidence": {"L1": 0.99, "L2": 0.97, "L3": 0.95, "L4": 0.91, "emotion": 0.99},
            "team": "development",
            "workflow": "Hardware ticket",
            "needs_review": False,
        }
    ],
    "residue": [{"content": "I bought it in May. ", "start": 0, "end": 20}],
    "metadata": {},
}


class RouteRequest(BaseModel):
    """One comment to route. Unknown fields are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"comment": EXAMPLE, "id": "review-4711"}]}
    )

    comment: Annotated[StrictStr, Field(description="The customer's own text, in any language.")]
    id: Annotated[StrictStr | None, Field(max_length=200, description="Yours; it comes back with the answer.")] = None
    metadata: Annotated[dict[StrictStr, StrictStr], Field(description="Yours; it comes back with the answer.")] = {}
    deadline_ms: Annotated[int | None, Field(gt=0, strict=True, description="Give up after so many ms (504).")] = None


class SegmentOut(BaseModel):
    """A stretch of the comment with one issue, and where it goes."""

    content: str
    start: Annotated[int, Field(description="First Unicode code point in the comment.")]
    end: Annotated[int, Field(description="One past the last code point.")]
    L1: str
    L2: str | None = None
    L3: str | None = None
    L4: str | None = None
    emotion: str
    confidence: Annotated[
        dict[str, float],
        Field(description="For each level the probability of the path down to it, and that of the emotion."),
    ]
    team: str
    workflow: str
    needs_review: bool


class ResidueOut(BaseModel):
    """A stretch of the comment without feedback."""

    content: str
    start: int
    end: int


class RouteResponse(BaseModel):
    """The comment's segments and residue; by `start`, laid end to end, they are the comment."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER_EXAMPLE]})

    id: str
    checkpoint: str
    taxonomy: str
    needs_review: bool
    segments: list[SegmentOut]
    residue: list[ResidueOut]
    metadata: dict[str, str] = {}


class LeafOut(BaseModel):
    """One class of the taxonomy, and who works on it."""

    L1: str
    L2: str | None = None
    L3: str | None = None
    L4: str | None = None
    description: str
    team: str
    workflow: str


class TaxonomyResponse(BaseModel):
    """The active taxonomy; `depth` levels lead to every leaf."""

    version: str
    depth: int
    leaves: list[LeafOut]


class FieldError(BaseModel):
    """A field of the request, and what is wrong with it."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `code` tells the kinds apart; `errors` names the fields at fault, where the fault is in one."""

    type: str
    code: str
    title: str
    status: int
    detail: str
    request_id: Annotated[str, Field(description="The `X-Request-Id` of the answer; the log has it too.")]
    retryable: Annotated[bool, Field(description="Whether the same request may succeed later.")]
    errors: list[FieldError] = []


def response_of(answer: Answer, pair: Pair, id: str, metadata: dict[str, str]) -> RouteResponse:  # noqa: A002
    """The answer as it goes out."""
    segments = [
        SegmentOut(
            content=routed.part.content,
            start=routed.start,
            end=routed.end,
            **dict(zip(LEVELS, routed.part.path, strict=False)),
            emotion=routed.part.emotion,
            confidence={name: round(value, 6) for name, value in routed.confidence.items()},
            team=routed.leaf.team,
            workflow=routed.leaf.workflow,
            needs_review=routed.needs_review,
        )
        for routed in answer.segments
    ]
    return RouteResponse(
        id=id,
        checkpoint=pair.checkpoint,
        taxonomy=pair.taxonomy.version,
        needs_review=answer.needs_review,
        segments=segments,
        residue=[ResidueOut(content=r.content, start=r.start, end=r.end) for r in answer.residue],
        metadata=metadata,
    )


def taxonomy_response(taxonomy: Taxonomy) -> TaxonomyResponse:
    """Every leaf with its scope, team and workflow."""
    leaves = [
        LeafOut(
            **dict(zip(LEVELS, leaf.path, strict=False)),
            description=leaf.description,
            team=leaf.team,
            workflow=leaf.workflow,
        )
        for leaf in taxonomy.leaves
    ]
    return TaxonomyResponse(version=taxonomy.version, depth=taxonomy.depth, leaves=leaves)
