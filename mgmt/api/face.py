"""Another face beside the API on the same port, such as the admin endpoints: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from flask import Request, Response


@dataclass(frozen=True)
class FaceRequest:
    """One request. `path` is without the face's prefix; `peer` is None for a caller in this process."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str | None = None
    host: str = ""
    origin: str | None = None
    authorization: str | None = field(default=None, repr=False)
    root: str = ""  # what the paths of this server begin with, beside others on one port


@dataclass(frozen=True)
class FaceAnswer:
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Face(Protocol):
    """Answers the requests below its prefix; never raises for what a caller sent."""

    def answer(self, request: FaceRequest) -> FaceAnswer: ...


def respond(face: Face, prefix: str, request: Request) -> Response:
    """Have the face answer a request to a path below its prefix."""
    answer = face.answer(
        FaceRequest(
            method=request.method,
            path=request.path.removeprefix(prefix) or "/",
            query=request.args.to_dict(),
            body=request.get_data(cache=False),
            peer=request.remote_addr,
            host=request.host,
            origin=request.headers.get("Origin"),
            authorization=request.headers.get("Authorization"),
            root=request.root_path,
        )
    )
    body = b"" if request.method == "HEAD" else answer.body
    return Response(body, answer.status, {"Content-Type": answer.content_type, **answer.headers})
