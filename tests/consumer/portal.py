"""A portal of somebody's that lets its users move VMs, with a client of its own on `requests`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from urllib.parse import quote

import requests


class Portal:
    def __init__(self, url: str, key: str, secret: str) -> None:
        self.url, self.key, self.secret = url, key, secret
        self.session = requests.Session()

    def call(self, command: str, **parameters: str) -> dict:
        sent = {"command": command, "apiKey": self.key, "response": "json", **parameters}
        text = "&".join(f"{name}={quote(sent[name], safe='*')}" for name in sorted(sent)).lower()
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).digest()
        answer = self.session.get(self.url, params={**sent, "signature": base64.b64encode(digest).decode()})
        (content,) = answer.json().values()
        return content

    def hosts_that_convert(self) -> list[str]:
        """The hosts that can import by VDDK."""
        hosts = self.call("listHosts", type="Routing", details="all")["host"]
        return sorted(host["name"] for host in hosts if host.get("details", {}).get("host.vddk.support") == "true")

    def move(self, parameters: dict[str, str], look_every_s: float = 0.01) -> str:
        """Import a VM; what the user reads about it."""
        job = self.call("importVm", **parameters)["jobid"]
        while (state := self.call("queryAsyncJobResult", jobid=job))["jobstatus"] == 0:
            time.sleep(look_every_s)
        if state["jobstatus"] == 1:
            return f"{state['jobresult']['virtualmachine']['name']} has moved"
        return f"Your VM could not be moved: {state['jobresult']['errortext']}"
