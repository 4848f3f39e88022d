"""Lines of the log, for people or for machines. No line holds a customer's text."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

from opentelemetry.trace import get_current_span

Form = Literal["text", "json"]
request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""Of the request that is being answered, for every line that is written meanwhile."""
_NOT_OURS: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}


class TextLines(logging.Formatter):
    """One line a record. Of an exception its type and its places: its message may quote the comment."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        return "\n".join(f"{name} at\n{''.join(traceback.format_tb(places))}" for name, places in _chain(ei[1]))


class JsonLines(TextLines):
    """One JSON object a line: time, level, logger, message, request_id, trace_id, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        if (spanning := get_current_span().get_span_context()).is_valid:
            line["trace_id"] = f"{spanning.trace_id:032x}"
        line |= {name: value for name, value in vars(record).items() if name not in _NOT_OURS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(form: Form) -> None:
    """Send all logs of this process to standard error in this form: ours from INFO, others' from WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # A person at a terminal is not told of every request.
    logging.getLogger("serve").setLevel(logging.INFO if form == "json" else logging.WARNING)


def _chain(error: BaseException | None) -> Iterator[tuple[str, Any]]:
    """An exception and those behind it, each with its traceback."""
    while error is not None:
        yield type(error).__qualname__, error.__traceback__
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
