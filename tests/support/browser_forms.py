"""A person at the sign-in pages, without a browser: fills in the forms a page has and follows where they lead.

person = Person(sandbox)
page = person.open(flow["auth_uri"])
page = page.send(username="alice@example.test", password="…")     # the next page, or
page.address                                                      # where the app is called back
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests
from lxml import html

if TYPE_CHECKING:
    from ops_lib.sandbox.server import Sandbox


@dataclass
class Shown:
    """What a person sees: a page of the directory, or (``address``) the app they were sent back to."""

    person: Person
    url: str
    status: int = 200
    content: bytes = b""
    address: str = ""

    @property
    def title(self) -> str:
        """The page's heading."""
        return str(html.fromstring(self.content).findtext(".//h1"))

    @property
    def text(self) -> str:
        """Everything on the page, as read."""
        return " ".join(html.fromstring(self.content).text_content().split())

    @property
    def answer(self) -> dict[str, str]:
        """What the app is told, by query or fragment."""
        parts = urlsplit(self.address)
        return dict(parse_qsl(parts.query or parts.fragment))

    def send(self, **fields: str) -> Shown:
        """Fills in the page's form and sends it; a field the form does not have is a mistake of the test."""
        form = html.fromstring(self.content).forms[0]
        buttons = {button.get("name") for button in form.iter("button")}
        assert set(fields) <= set(form.fields) | buttons, (fields, dict(form.fields))
        values = dict(form.form_values()) | fields
        return self.person.go("POST", urljoin(self.url, form.action), values)


class Person:
    """Somebody at a browser of their own, with its cookies."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._base = sandbox.entra_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(sandbox.ca_file)

    def open(self, url: str) -> Shown:
        """Opens an address."""
        return self.go("GET", url, {})

    def go(self, method: str, url: str, fields: dict[str, str]) -> Shown:
        """Sends one request; addresses that are not the directory's are where the person ends up, and are not asked."""
        answer = self._session.request(method, url, data=fields or None, allow_redirects=False, timeout=10)
        if answer.status_code == 302:
            there = urljoin(url, answer.headers["Location"])
            return self.open(there) if there.startswith(self._base) else Shown(self, url, 302, address=there)
        return Shown(self, url, answer.status_code, answer.content)
