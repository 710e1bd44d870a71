"""
GitHub's webhooks: a source that is told, and that asks for what did not arrive.

    sources:
      - id: github
        connector: github-webhook
        config:
          secret: ${GITHUB_WEBHOOK_SECRET}
          token: ${GITHUB_TOKEN}
          repo_owner: octo-org
          repo_name: checkout
        poll: {interval: 5m}

Law: the signature is checked over the bytes as they came, before anything is parsed, and whatever is wrong with it has
the same answer. The same delivery is admitted once, whether GitHub sends it again, a person does, or we ask for it: by
its guid, in ``X-GitHub-Delivery``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from orgloop.sdk import (
    FORM_TYPE,
    JSON_TYPE,
    Checked,
    Connector,
    EnvVar,
    Event,
    Offer,
    Place,
    Polled,
    PollFailed,
    Received,
    Request,
    Response,
    Takes,
    faults_of,
)
from orgloop_connectors._github.account import (
    BASE_URL,
    Account,
    base_url_faults,
    check_account,
    repo_faults,
    token_faults,
)
from orgloop_connectors._github.api import Api
from orgloop_connectors._github.facts import EVENTS
from orgloop_connectors._github.received import drafts_of
from orgloop_connectors._github.shapes import Drift
from orgloop_connectors._http import Online, open_client
from orgloop_connectors._payload import from_form, from_json
from orgloop_connectors._signing import Hmac

MAX_BODY_BYTES = 25 * 1024 * 1024
"""How long a body may be: GitHub sends none that is longer."""

NOTHING_TO_ASK_S = 3600.0
"""When to look again for what did not arrive, if nobody has said where to ask."""

IDLE_KEYS = {
    "path": "has no effect: a source is always at /webhook/<id>",
    "buffer_dir": "has no effect: the log keeps what has come",
    "max_buffer_size": "has no effect: the log keeps what has come",
    "issue_comment_edit_debounce_s": "has no effect: every edit is an event, issue_comment.edited",
}
"""Keys of the original that are taken, and do nothing."""

_EVENT = re.compile(r"[a-z_]{1,64}")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@attrs.frozen(kw_only=True)
class SourceConfig:
    """
    What is accepted, and whom to ask for what did not arrive.

    Without a secret whatever is posted is accepted, and each event says so: ``provenance.authenticated``.
    """

    secret: str | None = attrs.field(default=None, metadata={"secret": True, "aliases": ("hmac_secret",)})
    secrets: Sequence[str] = attrs.field(default=(), metadata={"secret": True})
    """More of them, for as long as a secret is being changed."""
    events: Sequence[str] = ()
    """Which kinds, by the names of ``github``; all of them unless said. What has no kind comes in any case."""
    max_body_bytes: int = attrs.field(default=MAX_BODY_BYTES, metadata={"yaml": "max_body", "unit": "size"})
    token: str | None = attrs.field(default=None, metadata={"secret": True})
    repo_owner: str | None = None
    repo_name: str | None = None
    base_url: str = BASE_URL
    hook_id: int | None = None
    """The webhook's number at GitHub; it is looked for unless said."""
    reconciliation_interval_s: float = attrs.field(
        default=300.0, metadata={"yaml": "reconciliation_interval_ms", "unit": "ms"}
    )
    """0 asks for nothing again; how often is said by ``poll.interval``."""
    reconciliation_lookback_s: float = attrs.field(
        default=900.0, metadata={"yaml": "reconciliation_lookback_ms", "unit": "ms"}
    )
    issue_comment_edit_debounce_s: float | None = attrs.field(
        default=None, metadata={"yaml": "issue_comment_edit_debounce_ms", "unit": "ms"}
    )
    """Accepted, and without effect."""
    path: str | None = None
    """Accepted, and without effect: a source is always at ``/webhook/<id>``."""
    buffer_dir: str | None = None
    """Accepted, and without effect: the log keeps what has come."""
    max_buffer_size: int | None = attrs.field(default=None, metadata={"unit": "size"})
    """Accepted, and without effect, as ``buffer_dir``."""

    def account(self) -> Account | None:
        """Whom to ask for what did not arrive; None if that is not said, or not wanted."""
        if not self.reconciliation_interval_s or not (self.token and self.repo_owner and self.repo_name):
            return None
        return Account(f"{self.repo_owner}/{self.repo_name}", self.token, self.base_url)


class GithubWebhookSource(Online):
    """Makes events of what GitHub posts, and asks for what it could not."""

    def __init__(self, config: SourceConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        if found := list(_faults(config)):
            raise ValueError("\n".join(found))
        self._config, self._place = config, place
        self._secrets = [secret for secret in (config.secret, *config.secrets) if secret is not None]
        self._wanted, self._account = frozenset(config.events), config.account()
        super().__init__(self._account.open if self._account else open_client)

    # -- told ----------------------------------------------------------------------------------------------------------

    @property
    def takes(self) -> Takes:
        """Forms too, if whose they are can be told."""
        media_types = {JSON_TYPE, FORM_TYPE} if self._secrets else {JSON_TYPE}
        return Takes(media_types=frozenset(media_types), body_bytes=self._config.max_body_bytes)

    async def receive(self, request: Request) -> Received:
        """The events of a request, or what is wrong with it."""
        headers = request.headers
        if request.method != "POST":
            return _answer(405, "Method not allowed", allow="POST")
        if len(request.body) > self._config.max_body_bytes:
            return _answer(413, f"Body longer than {self._config.max_body_bytes} bytes")
        if self._secrets and not Hmac().verify(self._secrets, request.body, headers.get("x-hub-signature-256", "")):
            return _answer(401, "Invalid signature")
        name, delivery_id = headers.get("x-github-event", ""), headers.get("x-github-delivery")
        if not _EVENT.fullmatch(name):
            return _answer(400, "Missing X-GitHub-Event header")
        if delivery_id is not None and not _ID.fullmatch(delivery_id):
            return _answer(400, "Invalid X-GitHub-Delivery header")
        read = _reader(headers.get("content-type", ""))
        if read is None:
            return _answer(415, "Unsupported content type", "application/json or a form is expected")
        try:
            events = self._events(name, read(request.body), delivery_id)
        except ValueError as exc:
            return _answer(400, "Invalid JSON payload", str(exc))
        ids = [event.id for event in events]
        answer = Response(200, {"ok": True, "events_created": len(ids), "event_ids": ids})
        return Received(events, answer, delivery_id)

    def _events(self, name: str, body: Any, delivery_id: str | None) -> list[Event]:
        if not isinstance(body, dict):
            raise ValueError("an object is expected")
        more: dict[str, Any] = {"authenticated": bool(self._secrets)}
        if delivery_id is not None:
            more["delivery_id"] = delivery_id
        events = [draft.event(self._place.id, **more) for draft in drafts_of(name, body, self._wanted)]
        for event in events:
            if faults := faults_of(event):
                raise ValueError(faults[0])
        return events

    # -- what did not arrive -------------------------------------------------------------------------------------------

    async def poll(self, checkpoint: str | None) -> Polled:
        """Have GitHub deliver again what did not arrive; it comes by :meth:`receive`."""
        if self._account is None:
            return Polled(next_in_s=NOTHING_TO_ASK_S)
        from orgloop_connectors._github.redelivery import hook_of, look_again

        config, place, api = self._config, self._place, Api(self.client, self._account)
        paths = (f"/webhook/{place.module}/{place.id}", f"/webhook/{place.id}")
        try:
            hook_id = config.hook_id if config.hook_id is not None else await hook_of(api, paths)
            return await look_again(
                api, hook_id, checkpoint, lookback_s=config.reconciliation_lookback_s, source=place.id
            )
        except Drift as exc:
            raise PollFailed(f"GitHub error: it does not speak as it did: {exc}") from exc


def _reader(content_type: str) -> Callable[[bytes], Any] | None:
    kind, _, rest = content_type.lower().partition(";")
    if "charset" in rest and not re.search(r'charset="?(?:utf-?8|us-ascii)"?\s*(?:;|$)', rest):
        return None
    readers: Mapping[str, Callable[[bytes], Any]] = {
        "": from_json,
        "application/json": from_json,
        "application/x-www-form-urlencoded": from_form,
    }
    return readers.get(kind.strip())


def _answer(status: int, error: str, detail: str | None = None, **headers: str) -> Received:
    body = {"error": error} if detail is None else {"error": error, "detail": detail}
    return Received((), Response(status, body, headers))


# -- config ------------------------------------------------------------------------------------------------------------


def _faults(config: SourceConfig) -> Iterator[str]:
    secrets = {"secret": config.secret} | {f"secrets.{index}": one for index, one in enumerate(config.secrets)}
    for where, secret in secrets.items():
        if secret == "":
            yield f"{where}: is empty; set the variable it comes from, or leave the key out and check nothing"
    for index, name in enumerate(config.events):
        if name not in EVENTS:
            yield f"events.{index}: there is no {name[:60]!r}; there are: {', '.join(EVENTS)}"
    if not 0 < config.max_body_bytes <= MAX_BODY_BYTES:
        yield "max_body: must be more than nothing, and at most 25MB, which is what GitHub sends"
    if config.token is not None:
        yield from token_faults(config.token)
    if bool(config.repo_owner) != bool(config.repo_name):
        yield "repo_owner, repo_name: one is nothing without the other"
    elif config.repo_owner:
        yield from repo_faults(f"{config.repo_owner}/{config.repo_name}", key="repo_name")
    yield from base_url_faults(config.base_url)
    if config.hook_id is not None and config.hook_id <= 0:
        yield "hook_id: must be the number in the URL of the webhook's settings"
    for key in ("reconciliation_interval", "reconciliation_lookback", "issue_comment_edit_debounce"):
        if (getattr(config, f"{key}_s") or 0) < 0:
            yield f"{key}_ms: must not be negative"


async def check(config: SourceConfig, place: Place) -> list[Checked]:
    """Whether requests are authenticated, whether what did not arrive can be asked for, and which keys do nothing."""
    detail = "requests are checked against it"
    if config.secret is None and not config.secrets:
        detail = (
            f"there is none: anyone who reaches /webhook/{place.id} can send events;"
            " set secret: ${GITHUB_WEBHOOK_SECRET}"
        )
    found = [Checked(name="GITHUB_WEBHOOK_SECRET", ok=True, detail=detail)]
    account = config.account()
    if account is None:
        detail = "nothing is asked for again: set token, repo_owner, repo_name and poll.interval for that"
        found.append(Checked(name="reconciliation", ok=True, detail=detail))
    else:
        found += await check_account(account)
    idle = (
        Checked(name=key, ok=True, detail=why) for key, why in IDLE_KEYS.items() if getattr(config, key) is not None
    )
    return [*found, *idle]


def samples() -> list[Event]:
    """One of each kind, one that has no kind, and one that did not arrive."""
    from orgloop_connectors._github.redelivery import Missing, undelivered
    from orgloop_connectors._github.samples import REPO, examples

    guid = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    more = {"authenticated": True, "delivery_id": guid}
    body = {"ref": "refs/heads/main", "repository": {"full_name": REPO}, "sender": {"login": "mona", "type": "User"}}
    lost = Missing(1, 5, "issues.opened", 1_700_000_000.0, "502 failed to connect")
    return [
        *(draft.event("github", **more) for draft in examples()),
        *(draft.event("github", **more) for draft in drafts_of("push", body, frozenset())),
        undelivered("github", REPO, guid, lost),
    ]


CONNECTOR = Connector(
    id="github-webhook",
    summary="Takes what GitHub posts, once each, and asks GitHub again for what did not arrive.",
    source=Offer(config=SourceConfig, make=GithubWebhookSource, check=check),
    env=(
        EnvVar(
            name="GITHUB_WEBHOOK_SECRET",
            description="The secret of the webhook, as in its settings at GitHub",
            url="https://docs.github.com/en/webhooks/using-webhooks/creating-webhooks",
            command="openssl rand -hex 32",
        ),
        EnvVar(
            name="GITHUB_TOKEN",
            description="May read the repository's webhooks and have them delivered again (admin:repo_hook)",
            url="https://github.com/settings/tokens/new?scopes=admin:repo_hook",
            required=False,
        ),
    ),
    samples=samples,
)
