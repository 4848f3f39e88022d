"""Lines of the log, for people or for machines. No line holds a customer's text.

Modules log by the standard library, as vLLM, uvicorn and all others do; every record goes through the processors here.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal, NamedTuple

from opentelemetry.trace import get_current_span
from structlog.contextvars import merge_contextvars
from structlog.processors import JSONRenderer
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

Form = Literal["text", "json"]
_LEFT_OUT: Final = {"event", "_record", "_from_structlog", "stack_info", "message", "asctime", "color_message"}
"""What stands under another key, what structlog needs on the way, and what other formatters have left on a record."""


def configure(form: Form) -> None:
    """Send all logs of this process to standard error in this form: ours from INFO, others' from WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # A person at a terminal is not told of every request.
    logging.getLogger("serve").setLevel(logging.INFO if form == "json" else logging.WARNING)


def formatter(form: Form) -> ProcessorFormatter:
    """text: one line a record. json: one object a line: time, level, logger, message, request_id, trace_id where there
    are such, and the record's own fields.
    """
    if form == "text":
        # `time level logger: message` is the standard library's own work.
        return ProcessorFormatter(
            fmt="%(asctime)s %(levelname)s %(name)s: %(message)s", processors=[without_messages_of_exceptions, _text]
        )
    return ProcessorFormatter(
        processors=[
            merge_contextvars,
            _with_trace,
            ExtraAdder(),
            without_messages_of_exceptions,
            _with_usual_keys,
            JSONRenderer(json.dumps, ensure_ascii=False, default=str),
        ]
    )


def without_messages_of_exceptions(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    """Of an exception its type and its places, in `exception`: its message may quote the comment."""
    if exc_info := event.pop("exc_info", None):
        event["exception"] = "\n".join(
            f"{raised.name} at\n{''.join(traceback.format_tb(raised.places))}" for raised in _chain(exc_info[1])
        )
    return event


def _with_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event


def _with_usual_keys(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    record: logging.LogRecord = event["_record"]
    usual = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": method,
        "logger": record.name,
        "message": event["event"],
    }
    # What is on every record is no field of this one: vLLM's factory of records puts its process's name there.
    left_out = _LEFT_OUT | vars(logging.makeLogRecord({})).keys()
    return usual | {name: value for name, value in event.items() if name not in left_out}


def _text(logger: WrappedLogger, method: str, event: EventDict) -> str:  # noqa: ARG001
    return "\n".join(filter(None, (event["event"], event.get("exception"))))


class _Raised(NamedTuple):
    name: str
    places: TracebackType | None


def _chain(error: BaseException | None) -> Iterator[_Raised]:
    """An exception and those behind it."""
    while error is not None:
        yield _Raised(type(error).__qualname__, error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
