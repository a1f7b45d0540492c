"""Signing in inside a notebook: a link and the address to paste back, or a code to enter on any device."""

from __future__ import annotations

import html
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ops_lib.errors import OpsError

if TYPE_CHECKING:
    from ops_lib.access.sign_ins import Waiting
    from ops_lib.access.signin import SignedIn
    from ops_lib.workspace import Workspace


def sign_in_form(workspace: Workspace, waiting: Sequence[Waiting]) -> Any:
    """Who waits, a button that begins a sign-in, and what it takes to finish it. What is pasted is wiped when it was used."""
    import ipywidgets as w

    wide = w.Layout(width="38em")
    who = w.Dropdown(
        description="who",
        options=[(f"{each.account.mailbox} ({each.host.name})", each) for each in waiting],
        layout=wide,
    )
    begin = w.Button(description="Begin the sign-in", button_style="primary", layout=w.Layout(width="auto"))
    told = w.HTML()
    pasted = w.Text(description="address", placeholder="paste the browser's whole address line here", layout=wide)
    finish = w.Button(description="Finish: keep this sign-in in the vault", layout=w.Layout(width="auto"))
    paste = w.VBox([pasted, finish], layout=w.Layout(display="none"))

    def say(text: str, *, is_fault: bool = False) -> None:
        told.value = f'<span style="color:#b3261e">✗ {html.escape(text)}</span>' if is_fault else f"<span>{text}</span>"

    def done(signed_in: SignedIn) -> None:
        others = len([each for each in signed_in.serves if each != signed_in.account.mailbox])
        say(
            f"✓ signed in as <b>{html.escape(signed_in.as_whom)}</b> for {html.escape(signed_in.account.mailbox)}"
            + (f" and {others} accounts it acts for" if others else "")
        )
        paste.layout.display = "none"

    def wait_for_code(each: Waiting) -> None:
        try:
            begun = workspace.access.begin_device(each.host, each.account)
            say(
                f'Open <a href="{html.escape(begun.verification_uri)}" target="_blank">{html.escape(begun.verification_uri)}</a>, enter'
                f" <b>{html.escape(begun.user_code)}</b>, and sign in as {html.escape(each.account.mailbox)}. This waits for it."
            )
            done(workspace.access.finish_device(each.host, each.account, begun))
        except OpsError as error:
            say(str(error), is_fault=True)

    def pressed_begin(_button: object) -> None:
        each: Waiting = who.value
        if each.host.auth == "oauth-device":
            threading.Thread(target=wait_for_code, args=(each,), daemon=True).start()
            return
        try:
            begun = workspace.access.begin_code(each.host, each.account)
        except OpsError as error:
            say(str(error), is_fault=True)
            return
        say(
            f'1. <a href="{html.escape(begun.url)}" target="_blank">Open the sign-in page</a> and sign in as {html.escape(each.account.mailbox)}.'
            f"<br>2. The browser ends at {html.escape(begun.redirect_uri)}, which may show an error: copy its whole address line, and paste it below."
        )
        paste.layout.display = ""

    def pressed_finish(_button: object) -> None:
        each: Waiting = who.value
        address, pasted.value = pasted.value, ""
        try:
            done(workspace.access.finish_code(each.host, each.account, address))
        except OpsError as error:
            say(str(error), is_fault=True)

    begin.on_click(pressed_begin)
    finish.on_click(pressed_finish)
    return w.VBox([who, begin, told, paste])
