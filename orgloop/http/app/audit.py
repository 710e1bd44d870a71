"""``/api/v1/audit``: what was delivered to whom, what was flagged in it, and what followed from it."""

from __future__ import annotations

from orgloop.http.app import given, shapes
from orgloop.http.app.looking import flag_shapes
from orgloop.http.app.route import Api, Asked, Route
from orgloop.runtime.audit import AuditQuery, AuditRecord


async def audit(api: Api, asked: Asked[given.Audit, None]) -> shapes.AuditPage:
    """List what is on record, newest first; a page may hold fewer than `limit`, or none, and yet have a `next`."""
    query = asked.query
    wanted = AuditQuery(
        trace_id=query.trace_id,
        event_id=query.event_id,
        module=query.module,
        route=query.route,
        actor=query.actor,
        held_only=query.held_only,
        flagged_only=query.flagged_only,
    )
    page = await api.runtime.audit(wanted, limit=query.limit, before=query.after)
    return shapes.AuditPage(items=[_shape(record) for record in page.records], next=page.next)


def _shape(record: AuditRecord) -> shapes.Audited:
    return shapes.Audited(
        id=record.id,
        timestamp=record.timestamp,
        trace_id=record.trace_id,
        input_event_id=record.input_event_id,
        input_source=record.input_source,
        input_type=record.input_type,
        input_content_hash=record.input_content_hash,
        module=record.module,
        route=record.route,
        actor=record.actor,
        sop_file=record.sop_file,
        delivery_status=record.delivery_status,
        attempt=record.attempt,
        duration_ms=record.duration_ms,
        outputs=[
            shapes.AuditOutput(
                type=output.type,
                target=output.target,
                content_hash=output.content_hash,
                timestamp=output.timestamp,
                flags=flag_shapes(output.flags),
            )
            for output in record.outputs
        ],
        chain_depth=record.chain_depth,
        parent_event_id=record.parent_event_id,
        held_for_review=record.held_for_review,
        flags=flag_shapes(record.flags),
    )


ROUTES = (Route("GET", "/api/v1/audit", audit, shapes.AuditPage, query=given.Audit, is_long=True),)
