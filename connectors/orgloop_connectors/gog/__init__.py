"""
Gmail, through the gog command: new mail, and changes of labels where gog tells them.

    sources:
      - id: inbox
        connector: gog
        poll: {interval: 1m}
        config: {account: ann@example.com, query: "is:unread in:inbox"}

With a ``query`` it looks for mail that fits and was not seen; without one it follows the mailbox's history.
"""

from __future__ import annotations

from pathlib import Path

from orgloop.sdk import Connector, Event, Offer, Place
from orgloop_connectors.gog.config import GogConfig
from orgloop_connectors.gog.mail import label_event, mail_event
from orgloop_connectors.gog.source import GogSource, check_source


def samples() -> list[Event]:
    """A mail, and a change of its labels."""
    place = Place(module="engineering", id="inbox", directory=Path())
    message = {
        "id": "18c2f5a0b7d3e911",
        "threadId": "18c2f5a0b7d3e911",
        "labelIds": ["INBOX", "UNREAD"],
        "snippet": "The pipeline has been red since Tuesday.",
        "internalDate": "1700000000000",
        "payload": {
            "headers": [
                {"name": "From", "value": '"Bell, Ada" <ada@example.com>'},
                {"name": "To", "value": "ann@example.com"},
                {"name": "Subject", "value": "Red pipeline"},
                {"name": "Date", "value": "Tue, 14 Nov 2023 22:13:20 +0000"},
            ]
        },
    }
    return [
        mail_event(place.id, message, with_body=False),
        label_event(place.id, "4711", "18c2f5a0b7d3e911", "18c2f5a0b7d3e911", added=["STARRED"], removed=[]),
    ]


CONNECTOR = Connector(
    id="gog",
    summary="Looks for new mail in Gmail through the gog command.",
    source=Offer(config=GogConfig, make=GogSource, check=check_source),
    samples=samples,
)
