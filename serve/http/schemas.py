"""What passes over HTTP, as `docs` and OpenAPI show it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr
from pydantic_core import PydanticCustomError

from serve.routing.answer import MOST_PATHS, Answer
from serve.routing.pair import Pair
from taxonomy.labels import LEVELS
from taxonomy.language.posterior import PathShare
from taxonomy.tree import Taxonomy

LONGEST_NAME: Final = 200
"""Characters of an id, and of a name in the metadata."""
MOST_METADATA: Final = 100
LONGEST_DEADLINE_MS: Final = 86_400_000
EXAMPLE: Final = (
    "Been buying here for 9 years. The driver left the parcel at the wrong house! "
    "The battery percentage is frozen at 80."
)
"""One that the bundled checkpoint has learned to route."""
_ALWAYS_THERE: Final = ConfigDict(json_schema_serialization_defaults_required=True)
"""What has no value is null, and not left out."""
ANSWER_EXAMPLE: Final[dict[str, Any]] = {
    "id": "review-4711",
    "checkpoint": "ck_0123456789abcdef",
    "taxonomy": "tx_0123456789abcdef",
    "needs_review": False,
    "segments": [
        {
            "content": "The driver left the parcel at the wrong house! ",
            "start": 30,
            "end": 77,
            "L1": "Delivery - Shipping and Logistics",
            "L2": "Missing & Stolen Parcels",
            "L3": "Misdelivery",
            "L4": "Wrong Entrance or Floor",
            "emotion": "negative",
            "confidence": {"L1": 0.99, "L2": 0.98, "L3": 0.98, "L4": 0.93, "emotion": 0.98, "team": 0.99},
            "team": "logistics",
            "workflow": "Parcel investigation",
            "needs_review": False,
        },
        {
            "content": "The battery percentage is frozen at 80.",
            "start": 77,
            "end": 116,
            "L1": "Power - Battery and Charging",
            "L2": "Battery Level Readout",
            "L3": "Percentage Accuracy",
            "L4": "Frozen Percentage",
            "emotion": "negative",
            "confidence": {"L1": 0.99, "L2": 0.97, "L3": 0.95, "L4": 0.91, "emotion": 0.99, "team": 0.99},
            "team": "development",
            "workflow": "Power ticket",
            "needs_review": False,
        },
    ],
    "residue": [
        {"content": "Been buying here for 9 years. ", "start": 0, "end": 30, "confidence": 0.98, "needs_review": False}
    ],
    "metadata": {},
}


def _milliseconds(value: Any) -> Any:
    """One message for all that is no deadline, whichever way it is none."""
    if value is None or (type(value) is int and 1 <= value <= LONGEST_DEADLINE_MS):
        return value
    limits = f"is no whole number of milliseconds from 1 to {LONGEST_DEADLINE_MS} (a day)"
    raise PydanticCustomError("deadline", limits)


def _few_paths(value: Any) -> Any:
    """The same of what is no number of paths."""
    if type(value) is int and 0 <= value <= MOST_PATHS:
        return value
    raise PydanticCustomError("alternatives", f"is no whole number from 0 to {MOST_PATHS}")


def _is_none(value: object) -> bool:
    return value is None


class RouteRequest(BaseModel):
    """One comment to route. Unknown fields are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"comment": EXAMPLE, "id": "review-4711"}]}
    )

    comment: Annotated[StrictStr, Field(description="The customer's own text, in any language.")]
    id: Annotated[
        StrictStr | None, Field(max_length=LONGEST_NAME, description="Yours; it comes back with the answer.")
    ] = None
    metadata: Annotated[
        dict[Annotated[StrictStr, Field(max_length=LONGEST_NAME)], StrictStr],
        Field(max_length=MOST_METADATA, description="Yours; it comes back with the answer."),
    ] = {}
    deadline_ms: Annotated[
        int | None,
        Field(ge=1, le=LONGEST_DEADLINE_MS, strict=True, description="Give up after so many ms (504)."),
        BeforeValidator(_milliseconds),
    ] = None
    alternatives: Annotated[
        int,
        Field(ge=0, le=MOST_PATHS, strict=True, description="So many other paths to name of each segment."),
        BeforeValidator(_few_paths),
    ] = 0


class AlternativeOut(BaseModel):
    """Another path that the segment might have. A level below the end of its path is null.

    A path that ends above a leaf stands for all leaves below it: nothing was decided between them.
    """

    model_config = _ALWAYS_THERE

    L1: str
    L2: str | None = None
    L3: str | None = None
    L4: str | None = None
    confidence: Annotated[float, Field(description="The probability of the path.")]
    team: Annotated[str | None, Field(description="Null where the leaves below the path have several.")]


class SegmentOut(BaseModel):
    """A stretch of the comment with one issue, and where it goes. A level below the end of its path is null."""

    model_config = _ALWAYS_THERE

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
        Field(
            description="For each level of the path the probability of the path down to it; that of the emotion; that "
            "of the team, by whichever of its paths."
        ),
    ]
    team: str
    workflow: str
    needs_review: bool
    alternatives: Annotated[
        list[AlternativeOut] | None,
        Field(
            exclude_if=_is_none,
            description="The likeliest other paths; only where some were asked for.",
        ),
    ] = None


class ResidueOut(BaseModel):
    """A stretch of the comment without feedback."""

    content: str
    start: int
    end: int
    confidence: Annotated[float, Field(description="The probability that it holds no feedback.")]
    needs_review: bool


class RouteResponse(BaseModel):
    """The comment's segments and residue; by `start`, laid end to end, they are the comment."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER_EXAMPLE]})

    id: str
    checkpoint: str
    taxonomy: str
    needs_review: Annotated[bool, Field(description="Whether a segment or a residue does.")]
    segments: list[SegmentOut]
    residue: list[ResidueOut]
    metadata: dict[str, str] = {}


class LeafOut(BaseModel):
    """One class of the taxonomy, and who works on it. A level below the end of its path is null."""

    model_config = _ALWAYS_THERE

    L1: str
    L2: str | None = None
    L3: str | None = None
    L4: str | None = None
    description: str
    team: str
    workflow: str


class TaxonomyResponse(BaseModel):
    """The active taxonomy; its deepest leaf is at level `depth`."""

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


def response_of(
    answer: Answer,
    pair: Pair,
    id: str,  # noqa: A002
    metadata: dict[str, str],
    alternatives: int = 0,
) -> RouteResponse:
    """The answer as it goes out, each segment with so many other paths."""
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
            alternatives=[_alternative(other) for other in routed.alternatives[:alternatives]]
            if alternatives
            else None,
        )
        for routed in answer.segments
    ]
    return RouteResponse(
        id=id,
        checkpoint=pair.checkpoint,
        taxonomy=pair.taxonomy.version,
        needs_review=answer.needs_review,
        segments=segments,
        residue=[
            ResidueOut(
                content=residue.content,
                start=residue.start,
                end=residue.end,
                confidence=round(residue.confidence, 6),
                needs_review=residue.needs_review,
            )
            for residue in answer.residue
        ],
        metadata=metadata,
    )


def _alternative(other: PathShare) -> AlternativeOut:
    levels = dict(zip(LEVELS, other.path, strict=False))
    return AlternativeOut(**levels, confidence=round(other.probability, 6), team=other.team)


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
