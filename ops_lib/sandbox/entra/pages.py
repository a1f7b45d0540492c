"""The pages a person sees, as HTML without scripts (but for the one line that sends a form back by itself)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from .signin import GoTo, Page

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 "Segoe UI", system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #eef1f5; color: #1b1b1b; }
main { background: #fff; width: min(27rem, 88vw); padding: 2.5rem; margin: 1rem; box-shadow: 0 2px 8px rgb(0 0 0 / 20%); }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 1rem; }
label { display: block; margin: 1rem 0 .25rem; }
input[type=text], input[type=password] { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; border: 1px solid #666; }
button { font: inherit; padding: .4rem 1.4rem; margin: 1.25rem .5rem 0 0; border: 1px solid #0b5cad; background: #fff; color: #0b5cad; cursor: pointer; }
button.first { background: #0b5cad; color: #fff; }
button.account { display: block; width: 100%; text-align: left; margin: .5rem 0 0; }
[role=alert] { color: #a80000; }
small { color: #555; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) {
  body { background: #17191c; color: #eee; } main { background: #24272b; } small { color: #bbb; }
  [role=alert] { color: #ff9a9a; } button { background: #24272b; color: #8ec3ff; border-color: #8ec3ff; }
  button.first { background: #0b5cad; color: #fff; border-color: #0b5cad; }
}
"""

PERMISSIONS = {
    "EWS.AccessAsUser.All": "Access mailboxes as the signed-in user via Exchange Web Services",
    "Calendars.ReadWrite": "Have full access to your calendars",
    "Calendars.ReadWrite.Shared": "Read and write your and shared calendars",
    "Mail.Send": "Send mail as you",
    "Mail.Send.Shared": "Send mail on behalf of others or yourself",
    "MailboxSettings.Read": "Read your mailbox settings",
    "Tasks.ReadWrite": "Create, read, update and delete your tasks and task lists",
    "User.Read": "Sign you in and read your profile",
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
    "offline_access": "Maintain access to data you have given it access to",
}

Values = Mapping[str, Any]


def _frame(title: str, content: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{content}"
        "<p><small>The sandbox's sign-in page, in the place of login.microsoftonline.com.</small></p></main></body></html>"
    )


def _form(values: Values, action: str, content: str) -> str:
    flow = f'<input type="hidden" name="flow" value="{escape(values["flow"])}">' if "flow" in values else ""
    return (
        f'<form method="post" action="/common/login">{flow}'
        f'<input type="hidden" name="action" value="{action}">{content}</form>'
    )


def _alert(values: Values) -> str:
    return f'<p role="alert">{escape(values["message"])}</p>' if values.get("message") else ""


def _button(text: str, name: str = "", value: str = "", kind: str = "first") -> str:
    named = f' name="{name}" value="{escape(value)}"' if name else ""
    return f'<button class="{kind}"{named}>{escape(text)}</button>'


def _login(values: Values) -> str:
    content = (
        '<label for="username">Email</label><input type="text" id="username" name="username" autocomplete="username" '
        f'required value="{escape(values["username"])}"><label for="password">Password</label>'
        '<input type="password" id="password" name="password" autocomplete="current-password" required>'
    )
    return _frame("Sign in", _form(values, "login", _alert(values) + content + _button("Sign in")))


def _pick(values: Values) -> str:
    accounts = "".join(_button(one, "account", one, "account") for one in values["accounts"])
    another = _button("Use another account", "account", "", "account")
    return _frame("Pick an account", _form(values, "pick", accounts + another))


def _second_factor(values: Values) -> str:
    content = (
        f'<p>{escape(values["user"])}</p><label for="code">Code from your authenticator app</label>'
        '<input type="text" id="code" name="code" inputmode="numeric" autocomplete="one-time-code" required>'
    )
    return _frame("Enter code", _form(values, "second_factor", _alert(values) + content + _button("Verify")))


def _consent(values: Values) -> str:
    rows = "".join(
        f"<li>{escape(PERMISSIONS.get(name, name))} <small>({escape(name)})</small></li>"
        for name in values["permissions"]
    )
    for_all = (
        '<label><input type="checkbox" name="for_all"> Consent on behalf of your organization</label>'
        if values["may_for_all"]
        else ""
    )
    content = (
        f"<p>{escape(values['user'])}</p><p><strong>{escape(values['app'])}</strong> would like to:</p><ul>{rows}</ul>"
        f"{for_all}{_button('Accept', 'answer', 'accept')}{_button('Cancel', 'answer', 'cancel', 'second')}"
    )
    return _frame("Permissions requested", _form(values, "consent", content))


def _device(values: Values) -> str:
    content = (
        f'{_alert(values)}<label for="user_code">Enter the code displayed on your app or device</label>'
        '<input type="text" id="user_code" name="user_code" autocomplete="off" required>'
    )
    return _frame("Enter code to allow access", _form(values, "user_code", content + _button("Next")))


def _confirm(values: Values) -> str:
    content = (
        f"<p>{escape(values['user'])}</p><p>Do not continue if you did not start this sign-in on another device.</p>"
        f"{_button('Continue', 'answer', 'accept')}{_button('Cancel', 'answer', 'cancel', 'second')}"
    )
    return _frame(f"Are you trying to sign in to {values['app']}?", _form(values, "confirm", content))


def _problem(values: Values) -> str:
    back = _form(values, "back", _button(f"Back to {values['app']}"))
    return _frame("You can't get there from here", f'<p role="alert">{escape(values["text"])}</p>{back}')


def _error(values: Values) -> str:
    return _frame("Sorry, but we're having trouble signing you in.", f'<p role="alert">{escape(values["text"])}</p>')


def _plain(title: str, text: str) -> Callable[[Values], str]:
    return lambda values: _frame(title.format(**values), f"<p>{escape(text.format(**values))}</p>")


_PAGES: dict[str, Callable[[Values], str]] = {
    "login": _login,
    "pick": _pick,
    "second_factor": _second_factor,
    "consent": _consent,
    "device": _device,
    "confirm": _confirm,
    "problem": _problem,
    "error": _error,
    "device_done": _plain("You have signed in to {app}", "You may close this window and go back to your device."),
    "declined": _plain("You did not sign in", "The sign-in was cancelled. You may close this window."),
    "signed_out": _plain("You signed out of your account", "It's a good idea to close all browser windows."),
    "expired": _plain("This sign-in has ended", "Go back to the app and start again."),
}


def page(shown: Page) -> bytes:
    """Draws a page."""
    return _PAGES[shown.name](shown.values).encode()


def form_post(there: GoTo) -> bytes:
    """Draws the page that sends an answer back to the app by POST, by itself or by a button."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in there.fields.items()
    )
    content = f'<form method="post" action="{escape(there.address)}">{fields}{_button("Continue")}</form><script>document.forms[0].submit()</script>'
    return _frame("Working…", content).encode()
