"""Signs what Schemathesis sends, with the keys of CLOUDSTACK_MOCK_API_KEY and CLOUDSTACK_MOCK_SECRET_KEY."""

import base64
import hashlib
import hmac
import os
from urllib.parse import parse_qsl, quote, urlsplit

import requests
import schemathesis

LEFT_ALONE = frozenset({"login", "logout"})


class Signature(requests.auth.AuthBase):
    """Adds apiKey and signature to the query string, as CloudStack's clients do."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        split = urlsplit(request.url)
        pairs = dict(parse_qsl(split.query, keep_blank_values=True))
        if pairs.get("command") in LEFT_ALONE:
            return request
        pairs["apiKey"] = os.environ["CLOUDSTACK_MOCK_API_KEY"]
        canonical = "&".join(f"{name}={quote(value, safe='*')}" for name, value in sorted(pairs.items(), key=_lower))
        canonical = canonical.replace("~", "%7E").lower()
        key = os.environ["CLOUDSTACK_MOCK_SECRET_KEY"].encode()
        pairs["signature"] = base64.b64encode(hmac.new(key, canonical.encode(), hashlib.sha1).digest()).decode()
        query = "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in pairs.items())
        request.url = split._replace(query=query).geturl()
        return request


def _lower(pair: tuple[str, str]) -> str:
    return pair[0].lower()


schemathesis.auth.set_from_requests(Signature())
