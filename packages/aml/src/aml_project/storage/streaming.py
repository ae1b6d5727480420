"""Send a request's body piece by piece, so that only silence counts as a lost connection, however slow the line is."""

from __future__ import annotations

import io
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter


class Streaming(HTTPAdapter):
    """An adapter that hands bodies over as streams: bytes would all have to be gone within one timeout."""

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        if isinstance(request.body, bytes):
            request.body = io.BytesIO(request.body)
        return super().send(request, *args, **options)
