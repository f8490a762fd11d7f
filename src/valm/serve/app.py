"""The viewer's pages and answers over HTTP, for this machine alone.

Nothing is loaded from elsewhere and nothing is sent elsewhere: the content policy forbids it, and a
request that names another host (as a rebound DNS name would) is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from valm.errors import ValmError
from valm.serve.answers import Exchange, answer
from valm.serve.open_study import OpenStudy, Picture

LONGEST_TEXT = 2_000  # characters
MOST_FOUND = 24
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
)
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PAGE = {
    "/": ("viewer.html", "text/html; charset=utf-8"),
    "/viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
    "/viewer.css": ("viewer.css", "text/css; charset=utf-8"),
}
PNG = b"\x89PNG"

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


class ExchangeBody(BaseModel):
    """One exchanged picture, as the page sends it."""

    model_config = ConfigDict(extra="forbid")
    token: int
    place: int
    picture: int | None


class Question(BaseModel):
    """A prompt and the pictures that were exchanged."""

    model_config = ConfigDict(extra="forbid")
    prompt: Text
    exchanges: list[ExchangeBody] = Field(default_factory=list, max_length=1_000)
    words: list[Text] = Field(default_factory=list, max_length=50)


def make_app(study: OpenStudy, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """The application over an open study.

    Args:
        hosts: Names that a request may address.
    """
    app = FastAPI(title="VaLM viewer", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    @app.middleware("http")
    async def with_headers(
        request: Request, handle: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await handle(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(ValmError)
    async def as_json(request: Request, error: ValmError) -> JSONResponse:
        return JSONResponse({"error": error.what, "cure": error.cure}, status_code=422)

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)  # none, said once: browsers ask whatever the page says

    for path, (file, kind) in PAGE.items():
        app.add_api_route(path, _page_file(file, kind), methods=["GET"])

    @app.post("/answers")
    def answers(question: Question) -> dict[str, Any]:
        exchanges = [Exchange(e.token, e.place, e.picture) for e in question.exchanges]
        return answer(study, question.prompt, exchanges, question.words)

    @app.get("/found")
    def found(text: Annotated[str, Query(max_length=LONGEST_TEXT)]) -> list[Picture]:
        return study.find(text, MOST_FOUND)

    @app.get("/pictures/{number}")
    def picture(number: int) -> Response:
        data = study.picture_bytes(number)
        kind = "image/png" if data.startswith(PNG) else "image/jpeg"
        return Response(data, media_type=kind, headers={"Cache-Control": "max-age=3600"})

    return app


def _page_file(file: str, kind: str) -> Callable[[], Response]:
    data = (resources.files("valm.serve") / "page" / file).read_bytes()

    def send() -> Response:
        return Response(data, media_type=kind)

    return send
