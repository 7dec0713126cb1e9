"""How the programs of this project log: one line an event, on standard error, as text or as JSON.

Call sites use the standard library's `logging`. What they do not say is added here: the order,
event, workflow and trace that a line belongs to. Of an exception only its type and place are told,
and the words of our own: vendors, drivers and parsers quote what customers have typed.
"""

import logging
import traceback

from opentelemetry import trace
from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import (
    EventRenamer,
    ExceptionRenderer,
    JSONRenderer,
    TimeStamper,
)
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger
from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from domain.errors import FulfillmentError
from domain.ids import is_checkout_session_id
from settings import LogFormat

TALKATIVE = ("alembic", "httpx", "stripe")
"""Libraries that log each look at the schema, or each URL they call: tokens stand in those."""
OURS = (FulfillmentError, ApplicationError)
"""Errors whose words hold no personal data and no secret."""


def log_to_stderr(form: LogFormat) -> None:
    """Sets up logging for a program; call it once, at its start."""
    handler = logging.StreamHandler()
    handler.setFormatter(ProcessorFormatter(processors=[*_COMPLETED, *_RENDERED[form]]))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(capture=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
    logging.getLogger("uvicorn").propagate = True
    # It logs URLs, in which session IDs and tokens stand: `api.request_log` does it by route.
    logging.getLogger("uvicorn.access").propagate = False
    # They are fields of their own here.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False


def _name_workflow(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Tells which workflow or activity a line was written in."""
    if activity.in_activity():
        doing = activity.info()
        event["workflow_id"] = doing.workflow_id
        event["activity"] = doing.activity_type
        event["attempt"] = doing.attempt
    elif workflow.in_workflow():
        event["workflow_id"] = workflow.info().workflow_id
    workflow_id = event.get("workflow_id")
    if workflow_id and is_checkout_session_id(workflow_id):
        event["session_id"] = workflow_id
    return event


def _name_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Tells in which trace a line was written, while there is one."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event


def _shorten_asyncio(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keeps the first line: the others show objects, with the words of their exceptions."""
    if event["logger"] == "asyncio":
        event["event"] = event["event"].partition("\n")[0]
    return event


def _traceback(exc_info: ExcInfo) -> str:
    return _trace_of(exc_info[1])


def _trace_of(error: BaseException) -> str:
    """A traceback as Python prints it, without the words of errors that are not ours."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "".join(
        [
            *(f"{_trace_of(each)}\n\n" for each in (before, *inner) if each is not None),
            *traceback.format_tb(error.__traceback__),
            f"{type(error).__module__}.{type(error).__qualname__}",
            f": {error}" if isinstance(error, OURS) else "",
        ]
    )


_COMPLETED: tuple[Processor, ...] = (
    merge_contextvars,
    add_log_level,
    add_logger_name,
    TimeStamper(fmt="iso", utc=True),
    _name_workflow,
    _name_trace,
    _shorten_asyncio,
    ExceptionRenderer(_traceback),
    ProcessorFormatter.remove_processors_meta,
)
_RENDERED: dict[LogFormat, tuple[Processor, ...]] = {
    LogFormat.JSON: (EventRenamer("message"), JSONRenderer()),
    # Not its own tracebacks: those show the values of variables.
    LogFormat.TEXT: (ConsoleRenderer(colors=False, exception_formatter=plain_traceback),),
}
