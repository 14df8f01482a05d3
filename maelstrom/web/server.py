"""Serve the page, the same as JSON, metrics and health over HTTP.

Rules of this file:
1. It only shows. Nothing that comes by HTTP changes anything.
2. It answers to names of this machine and to those it was told; a foreign page that has its name
   point here gets nothing.
3. What programs and hosts call themselves is never trusted to be harmless text.
"""

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path

import jinja2
import msgspec
from aiohttp import web

from maelstrom.broker.status import State
from maelstrom.errors import InfrastructureError
from maelstrom.web import metrics
from maelstrom.web.looks import FILTERS, history_lines

REFRESH_S = 1.0
VIEWERS_MAX = 50
CLOSE_S_MAX = 1.0

_HERE = Path(__file__).parent
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_FILES = {"live.js": "text/javascript", "style.css": "text/css"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """The pages of one broker; `look` tells what there is to see."""

    def __init__(self, look: Callable[[], State], names: tuple[str, ...] = ()) -> None:
        self._look = look
        self._names = {"localhost", *names}
        self._viewers = 0
        self._runner: web.AppRunner | None = None
        self._looks = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._looks.filters.update(FILTERS)

    async def start(self, host: str, port: int) -> int:
        """Begin to serve; return the port. Raises InfrastructureError."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/state.json", self._json)
        app.router.add_get("/events", self._events)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/{name:live.js|style.css}", self._file)
        runner = self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S_MAX)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise InfrastructureError(
                f"cannot serve the page on {host}:{port}: {error.strerror or error}"
            ) from error
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """End it."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_ours(request.host):
            raise web.HTTPMisdirectedRequest(text=f"this is not {request.host}\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_SAFE)
        return response

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.removeprefix("[").removesuffix("]")
        with contextlib.suppress(ValueError):
            # An address cannot be made to point elsewhere.
            return bool(ipaddress.ip_address(name))
        return name in self._names

    def _render(self, name: str) -> str:
        state = self._look()
        return self._looks.get_template(name).render(
            state=state, lines=history_lines(state.history)
        )

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=self._render("page.html"), content_type="text/html")

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.Response(text=(_HERE / name).read_text(), content_type=_FILES[name])

    async def _json(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self._look())
        return web.Response(body=body, content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=metrics.render(self._look()), headers=metrics.HEADERS)

    async def _health(self, _: web.Request) -> web.Response:
        state = self._look()
        here = sum(worker.state == "here" for worker in state.workers)
        told = {"status": state.ending or "ok", "workers": here, "build": state.build}
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._viewers >= VIEWERS_MAX:
            raise web.HTTPServiceUnavailable(text=f"{VIEWERS_MAX} pages are open already\n")
        response = web.StreamResponse(headers={**_SAFE, "Content-Type": "text/event-stream"})
        self._viewers += 1
        try:
            await response.prepare(request)
            while True:
                lines = self._render("state.html").splitlines()
                await response.write("".join(f"data: {line}\n" for line in lines).encode() + b"\n")
                await asyncio.sleep(REFRESH_S)
        except ConnectionResetError:
            return response
        finally:
            self._viewers -= 1
