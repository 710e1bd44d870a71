"""
The application behind the door: the table of routes as a Quart application.

    request ─▶ read_request ─▶ call ─▶ masks ─▶ answer
                    └─ what goes wrong ─▶ problem_of ─▶ masks ─▶ answer

Walls, limits and the token are the door's, on both sides of its tunnel; here a request is allowed already. Quart finds
the route and carries bytes; nothing of a request is taken from anywhere but the values that the table asks for.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
import trio

from orgloop.http.app import metrics
from orgloop.http.app.masks import Masks
from orgloop.http.app.plain import builtins, written
from orgloop.http.app.problems import BROKEN, Problem, body_of, problem_of
from orgloop.http.app.reading import read_request
from orgloop.http.app.route import EVENT_STREAM, JSON, PLAIN, Api, Control, Route
from orgloop.http.app.stream import Stream
from orgloop.http.app.table import TABLE
from orgloop.http.asgi import App, Receive, Scope, Send
from orgloop.http.front import Behind, MakeApp
from orgloop.runtime.runtime import Runtime
from orgloop.sdk import Notice

if TYPE_CHECKING:
    from quart import Response
    from quart_trio import QuartTrio

_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_MEDIA_TYPES = {PLAIN: metrics.MEDIA_TYPE, EVENT_STREAM: EVENT_STREAM, JSON: JSON}


def make_app(
    runtime: Runtime,
    *,
    control: Control | None = None,
    log_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> MakeApp:
    """
    What makes the application of a runtime, for :func:`orgloop.http.front.serve_front`.

    ``control`` is what only whoever runs the runtime can do; ``log_file`` is where notices older than those in memory
    are looked for, JSON, one a line; ``environ`` are the variables that projects are read with, those of this process
    unless given. ``options`` are those fields of :class:`Api` that tests change.
    """

    def made(behind: Behind) -> App:
        masks = Masks(runtime)
        masks.learn([behind.walls.token.decode("latin-1")])
        api = Api(
            runtime=runtime,
            behind=behind,
            control=control or Control(),
            masks=masks,
            tell=runtime.tell,
            log_file=log_file,
            environ=environ,
            **{"began_s": time.time(), **options},
        )
        # Its types are those of hypercorn's own definition of ASGI.
        return WithoutWebSockets(cast(App, application_of(api)))

    return made


@attrs.frozen
class WithoutWebSockets:
    """An application that speaks HTTP only: Quart looks for its routes among its requests, and finds no request."""

    app: App

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse one for a WebSocket."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
            return
        await self.app(scope, receive, send)


def application_of(api: Api) -> QuartTrio:
    """The Quart application that serves the table."""
    from quart_trio import QuartTrio

    app = QuartTrio("orgloop.http.app", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = None  # a stream may go on; the door ends what does not send
    app.config["BODY_TIMEOUT"] = None  # the body has been read when we hear of it
    app.logger.disabled = True  # what goes wrong is told, not printed
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    for route in TABLE:
        if route.call is not None:
            rule = route.path.replace("{", "<").replace("}", ">")
            view = partial(_serve, api, route)
            app.add_url_rule(rule, route.name, view, methods=[route.method], provide_automatic_options=False)
    app.register_error_handler(Exception, partial(_unserved, api))
    _listen(app, api)
    return app


def _listen(app: QuartTrio, api: Api) -> None:
    """Hear the notices while the application serves, and know the secrets of whatever is loaded meanwhile."""
    endings: list[Callable[[], None]] = []

    into_ring, into_meter = api.ring.hear, api.meter.hear

    def hear(notice: Notice) -> None:
        into_ring(notice)
        into_meter(notice)
        if notice.phase.startswith("module."):
            api.masks.learn_loaded()

    def stop() -> None:
        while endings:
            endings.pop()()

    @app.before_serving
    async def begin() -> None:
        stop()  # of a life that crashed
        api.masks.learn_loaded()
        endings.append(api.runtime.on("*", hear))

    @app.after_serving
    async def end() -> None:
        stop()


# -- one request -------------------------------------------------------------------------------------------------------


async def _serve(api: Api, route: Route, **path: str) -> Response:
    """Answer one request; raises nothing that is an Exception."""
    from quart import request

    try:
        body = await request.get_data(cache=False, as_text=False)
        assert isinstance(body, bytes)
        asked = read_request(
            route,
            path=path,
            query=request.query_string.decode("latin-1"),
            body=body,
            headers={name: request.headers.get(name) for name, _ in route.headers},
            limits=api.behind.limits,
        )
        call: Callable[..., Awaitable[object]] = route.call  # type: ignore[assignment] # only those are served
        found = await call(api, asked)
    except Exception as exc:
        return _refusal(api, problem_of(exc) or _bug(api, route.path, exc), route.path)
    status, answer = found if isinstance(found, tuple) else (route.status, found)
    return await _response(api, route, status, answer)


async def _response(api: Api, route: Route, status: int, answer: object) -> Response:
    from quart import Response, request

    content: Any
    if isinstance(answer, Stream):
        content = b"" if request.method == "HEAD" else _body_of(answer)
    elif isinstance(answer, str):
        content = answer.encode()
    elif route.is_long:
        content = await trio.to_thread.run_sync(_written, api, answer)
    else:
        content = _written(api, answer)
    response = Response(content, status, headers=_SAFE, content_type=_MEDIA_TYPES[route.media_type])
    response.timeout = None
    return response


def _written(api: Api, answer: object) -> bytes:
    return written(api.masks.plain(builtins(answer)))


def _body_of(stream: Stream) -> object:
    from quart.wrappers.response import ResponseBody

    class StreamBody(ResponseBody):
        """A stream in Quart's words."""

        async def __aenter__(self) -> Any:
            return await stream.__aenter__()

        async def __aexit__(self, *exc: object) -> None:
            await stream.__aexit__(*exc)

    return StreamBody()


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def _bug(api: Api, path: str, exc: Exception) -> Problem:
    api.tell("system.error", error=f"http: {path}: {exc!r}")
    return BROKEN


def _refusal(api: Api, problem: Problem, path: str) -> Response:
    from quart import Response

    plain = api.masks.plain(builtins(body_of(problem, path)))
    return Response(written(plain), problem.status, headers={**_SAFE, **dict(problem.headers)}, content_type=JSON)


async def _unserved(api: Api, exc: Exception) -> Response:
    """What no route was found for."""
    from quart import request
    from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

    if isinstance(exc, MethodNotAllowed):
        allowed = ", ".join(sorted(exc.valid_methods or ()))
        problem = Problem(
            status=405,
            code="method_not_allowed",
            what="Method not allowed",
            where=request.method,
            next=f"Here: {allowed}.",
            headers=(("Allow", allowed),),
        )
    elif isinstance(exc, NotFound):
        problem = Problem(
            status=404, code="not_found", what="Not found", next="`GET /api/v1/openapi.json` shows what there is."
        )
    elif isinstance(exc, HTTPException) and exc.code is not None and exc.code < 500:
        problem = Problem(status=exc.code, code="bad_request", what=exc.name)
    else:
        problem = _bug(api, request.path, exc)
    return _refusal(api, problem, request.path)
