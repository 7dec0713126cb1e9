"""Which pages of other origins may call which routes."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class PathCors(CORSMiddleware):
    """Lets pages of other origins call what is below one path, and nothing else.

    Args:
        app: What answers.
        path: Where the routes are; those whose path begins so.
        origins: Whose pages may call them.
        methods: By which methods.
        headers: With which headers besides the harmless ones.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str,
        origins: Sequence[str],
        methods: Sequence[str],
        headers: Sequence[str] = (),
    ) -> None:
        super().__init__(app, origins, methods, headers)
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything else on as it is."""
        if str(scope.get("path", "")).startswith(self._path):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
