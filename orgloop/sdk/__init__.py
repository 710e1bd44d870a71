"""
All that the author of a source, an actor, a transform, a logger or a bus imports.

    sources  actors  transforms  loggers  bus    the methods of each kind, and the values they take and give
    connectors                                   how a package of them shows what it has

A plug-in is a plain object with the one method of its kind. One that holds something open is an async context manager
too: the runtime enters it before first use and leaves it after the last, in a task of its own under a supervisor. What
is expected to happen is returned as a value; whatever is raised is a crash, and the supervisor's business.
"""

from orgloop.errors import EventError, OrgLoopError
from orgloop.event import (
    Event,
    decode,
    dedupe_key,
    encode,
    end_of_exit,
    faults_of,
    follow,
    lifecycle_faults,
    new_id,
    timestamp_of,
    type_of_phase,
)
from orgloop.sdk.actors import Actor, Delivered, Delivery, Emit, Failed, Outcome, Prompt, Rejected, Skipped
from orgloop.sdk.bus import Admitted, End, EventBus, Note, Query, Recorded, Settlement
from orgloop.sdk.connectors import Checked, Connector, EnvVar, Offer, Place
from orgloop.sdk.loggers import DEBUG, ERROR, INFO, SEVERITY_OF, WARNING, Logger, Notice
from orgloop.sdk.sources import (
    FORM_TYPE,
    JSON_TYPE,
    Polled,
    PolledSource,
    PollFailed,
    PushedSource,
    Received,
    Request,
    Response,
    Takes,
)
from orgloop.sdk.transforms import Context, Marks, Transform, TransformFailed

__all__ = [
    "DEBUG",
    "ERROR",
    "FORM_TYPE",
    "INFO",
    "JSON_TYPE",
    "SEVERITY_OF",
    "WARNING",
    "Actor",
    "Admitted",
    "Checked",
    "Connector",
    "Context",
    "Delivered",
    "Delivery",
    "Emit",
    "End",
    "EnvVar",
    "Event",
    "EventBus",
    "EventError",
    "Failed",
    "Logger",
    "Marks",
    "Note",
    "Notice",
    "Offer",
    "OrgLoopError",
    "Outcome",
    "Place",
    "PollFailed",
    "Polled",
    "PolledSource",
    "Prompt",
    "PushedSource",
    "Query",
    "Received",
    "Recorded",
    "Rejected",
    "Request",
    "Response",
    "Settlement",
    "Skipped",
    "Takes",
    "Transform",
    "TransformFailed",
    "decode",
    "dedupe_key",
    "encode",
    "end_of_exit",
    "faults_of",
    "follow",
    "lifecycle_faults",
    "new_id",
    "timestamp_of",
    "type_of_phase",
]
