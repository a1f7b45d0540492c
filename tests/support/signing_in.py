"""A workspace whose hosts are the sandbox over HTTPS, and people who sign in at its pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.access.sign_ins import SignInStates
from ops_lib.access.signin import Access, Begun, SignedIn
from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.crm.directory import Directory
from ops_lib.model import Account, Host
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.browser_forms import Person, Shown
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE

REDIRECT = "http://localhost:8412"


class Office:
    """One host on the sandbox, with accounts for alice, bob, carol and, where somebody acts for them, svc."""

    def __init__(self, sandbox: Sandbox, folder: Path, monkeypatch: Any, **entered: Any) -> None:
        for name in ("SYNCOPS_WORKSPACE", "SYNCOPS_DATABASE_URL", "SYNCOPS_NOW"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
        monkeypatch.setenv("CLIENT_SECRET", sandbox.app.secret)
        self.sandbox = sandbox
        self.workspace = Workspace.create(folder)
        options: dict[str, Any] = {
            "url": sandbox.ews_url_https,
            "auth": "oauth-code",
            "access": "direct",
            "tenant_id": sandbox.directory.tenant_id,
            "client_id": sandbox.app.client_id,
            "authority": sandbox.entra_url,
            "ca_bundle": str(sandbox.ca_file),
            "secret": "env:CLIENT_SECRET",
            "redirect_uri": REDIRECT,
            "version": "2016",
        }
        with self.workspace.database.begin() as connection:
            Hosts(connection).add("cloud", HostInput(**options | entered))
            directory = Directory(connection)
            for address in (ALICE, BOB, CAROL, SERVICE):
                directory.add_user(address, address.split("@")[0], is_admin=address == CAROL)

    def add(self, address: str, **options: Any) -> Account:
        with self.workspace.database.begin() as connection:
            return Accounts(connection).add(address, host="cloud", **options)

    @property
    def host(self) -> Host:
        with self.workspace.database.read() as connection:
            return Hosts(connection).get("cloud")

    @property
    def access(self) -> Access:
        return self.workspace.access

    def at_the_pages(self, url: str, user: str) -> Shown:
        """What comes of opening an address, signing in and agreeing to whatever is asked."""
        page = Person(self.sandbox).open(url)
        if page.content and page.title == "Sign in":
            page = page.send(username=user, password=self.sandbox.passwords[user])
        if page.content and page.title == "Permissions requested":
            page = page.send(answer="accept")
        return page

    def begin(self, account: Account) -> Begun:
        return self.access.begin_code(self.host, account)

    def sign_in(self, account: Account, as_whom: str = "") -> SignedIn:
        """The whole way, through the pages, with the address pasted back."""
        page = self.at_the_pages(self.begin(account).url, as_whom or account.mailbox)
        return self.access.finish_code(self.host, account, page.address)

    def state(self, account: Account) -> Any:
        with self.workspace.database.read() as connection:
            return SignInStates(connection).of(account)

    def asked_for_tokens(self) -> int:
        """How often the directory was asked for a token."""
        return self.sandbox.sign_ins.total("Token")
