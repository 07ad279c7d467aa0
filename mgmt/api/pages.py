"""The pages outside the API: the container's error pages, made as Jetty makes them, and a start page."""

from __future__ import annotations

from html import escape

HTML_ERROR_CONTENT_TYPE = "text/html;charset=iso-8859-1"
NO_CACHE = ("Cache-Control", "must-revalidate,no-cache,no-store")


def start_page(root: str) -> str:
    """The page at `/client/` of a server whose paths begin with `root`."""
    api = escape(f"{root}/client/api")
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>cloudstack-mock</title>"
        f"<h1>cloudstack-mock</h1><p>The API answers at <a href={api}>{api}</a>.</p></html>\n"
    )


def error_page(status: int, reason: str, path: str, cause: str | None = None) -> str:
    """Jetty's error page for `path`."""
    rows = [("URI", path), ("STATUS", str(status)), ("MESSAGE", reason), ("SERVLET", "default")]
    if cause is not None:
        rows.append(("CAUSED BY", cause))
    table = "".join(f"<tr><th>{name}:</th><td>{escape(value)}</td></tr>\n" for name, value in rows)
    title = f"Error {status} {reason}"
    return (
        '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
        f"<title>{title}</title>\n</head>\n<body><h2>HTTP ERROR {status} {reason}</h2>\n"
        f"<table>\n{table}</table>\n\n</body>\n</html>\n"
    )
