"""What a person goes through in the browser: who are you, your second factor, do you agree, and back to the app.

Nothing here knows HTTP: a step takes a form's fields and gives a page, or an address to go to.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from . import refusals, scopes
from .apps import App
from .directory import SHARED_TENANTS, Directory
from .grants import Code, Device, Session, is_over
from .members import EVERYBODY, Member
from .refusals import Refused
from .scopes import Asked

_PROMPTS = ("", "login", "none", "consent", "select_account")
_MODES = ("query", "fragment", "form_post")
# Said on the login page itself, where the person can try again.
_TRY_AGAIN = {
    50034: "This username may be incorrect. Make sure you typed it correctly. Otherwise, contact your admin.",
    50053: "Your account is temporarily locked to prevent unauthorized use. Try again later.",
    50126: "Your account or password is incorrect. If you don't remember your password, ask your admin to reset it.",
    500121: "That code didn't work. Check the code and try again.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page to show: its name in `pages`, and what it says."""

    name: str
    values: Mapping[str, object]
    status: int = 200


@dataclass(frozen=True, slots=True)
class GoTo:
    """Back to the app: by a redirect, or (``fields``) by a form that sends itself."""

    address: str
    fields: Mapping[str, str] = field(default_factory=dict)


Step = Page | GoTo


@dataclass(slots=True)
class _Flow:
    """One run through the pages. ``kind``: "authorize", "device" or "admin"."""

    kind: str
    tenant: str
    app: App
    asked: Asked
    permissions: tuple[str, ...]
    redirect_uri: str = ""
    state: str = ""
    response_mode: str = "query"
    prompt: str = ""
    hint: str = ""
    challenge: str = ""
    challenge_method: str = ""
    nonce: str = ""
    device: Device | None = None
    session: Session | None = None
    agreed: bool = False
    problem: Refused | None = None


class SignIn:
    """The pages of one directory. ``browser`` is the value of the cookie that tells one browser from another."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._flows: dict[str, _Flow] = {}
        self._browsers: dict[str, list[Session]] = {}

    def clear(self) -> None:
        """Forgets who is in the middle of something."""
        self._flows.clear()
        self._browsers.clear()

    # -- the ways in ---------------------------------------------------------------------------------------------------

    def authorize(self, tenant: str, given: Mapping[str, str], browser: str, on_demand: int = 0) -> Step:
        """Begins an authorization-code flow. ``on_demand``: the AADSTS code a fault rule wants."""
        try:
            flow = self._flow("authorize", tenant, given)
        except Refused as refused:
            return self._error_page(refused)
        try:
            if on_demand:
                raise Refused(on_demand, client_id=flow.app.client_id, name=flow.app.name, tenant=tenant)
            self._read(flow, given)
        except Refused as refused:
            return self._hand_back(flow, refused)
        return self._start(flow, browser)

    def admin_consent(self, tenant: str, given: Mapping[str, str], browser: str) -> Step:
        """Begins an administrator's consent for everybody in the tenant."""
        try:
            flow = self._flow("admin", tenant, given)
        except Refused as refused:
            return self._error_page(refused)
        flow.permissions = flow.app.delegated
        return self._start(flow, browser)

    def device(self, entered: str, browser: str) -> Step:
        """Shows where to enter a device's code, or takes one that came with the address."""
        return self._user_code({"user_code": entered}, browser) if entered else Page("device", {"message": ""})

    def sign_out(self, given: Mapping[str, str], browser: str) -> Step:
        """Ends the browser's sign-ins, and goes where the app asked to go if that address is registered."""
        self._browsers.pop(browser, None)
        wanted = given.get("post_logout_redirect_uri", "")
        if wanted and any(app.registered(wanted) for app in self._directory.apps):
            state = {"state": given["state"]} if given.get("state") else {}
            return GoTo(_with(wanted, "?", state) if state else wanted)
        return Page("signed_out", {})

    def _flow(self, kind: str, tenant: str, given: Mapping[str, str]) -> _Flow:
        """Reads what must be right before anything is sent back to an app. Raises Refused."""
        if not given.get("client_id"):
            raise Refused(900144, parameter="client_id")
        named = tenant if tenant.lower() in SHARED_TENANTS else self._directory.own(tenant)
        app = self._directory.apps.of(given["client_id"], named)
        redirect_uri = given.get("redirect_uri", "")
        if not redirect_uri:
            raise Refused(900144, parameter="redirect_uri")
        if not app.registered(redirect_uri):
            raise Refused(50011, redirect_uri=redirect_uri, client_id=app.client_id)
        mode = given.get("response_mode") or "query"
        return _Flow(
            kind,
            tenant,
            app,
            scopes.for_user("openid", tenant, app.name),
            (),
            redirect_uri=redirect_uri,
            state=given.get("state", ""),
            response_mode=mode if mode in _MODES else "query",
            hint=given.get("login_hint", ""),
        )

    def _read(self, flow: _Flow, given: Mapping[str, str]) -> None:
        if given.get("response_mode", "query") not in _MODES:
            raise Refused(90023, parameter="response_mode")
        if given.get("response_type") != "code":
            raise Refused(70005, response_type=given.get("response_type", ""))
        flow.prompt = given.get("prompt", "")
        if flow.prompt not in _PROMPTS:
            raise Refused(90023, parameter="prompt")
        flow.challenge = given.get("code_challenge", "")
        flow.challenge_method = given.get("code_challenge_method") or ("plain" if flow.challenge else "")
        sound = flow.challenge_method in ("S256", "plain") and 43 <= len(flow.challenge) <= 128
        if (flow.challenge or flow.challenge_method) and not sound:
            raise Refused(501491, value=flow.challenge_method)
        flow.nonce = given.get("nonce", "")
        flow.asked = scopes.for_user(given.get("scope", ""), flow.tenant, flow.app.name)
        if not flow.app.delegated and flow.asked.permissions:
            raise Refused(650056, resource=flow.asked.resource, client_id=flow.app.client_id)
        flow.permissions = flow.asked.granted(flow.app.delegated)
        if flow.asked.default and not flow.permissions:
            raise Refused(650057, client_id=flow.app.client_id, name=flow.app.name, resource=flow.asked.resource)

    # -- from page to page ---------------------------------------------------------------------------------------------

    def _start(self, flow: _Flow, browser: str) -> Step:
        known = self._known(browser)
        if flow.hint:
            known = [one for one in known if one.user == flow.hint.lower()] or ([] if flow.prompt != "none" else known)
        if flow.prompt == "none":
            if len(known) != 1:
                return self._hand_back(flow, Refused(16000 if known else 50058))
            return self._go_on(flow, known[0])
        if flow.prompt == "login" or not known:
            return self._page(flow, "login", username=flow.hint, message="")
        if flow.prompt == "select_account" or len(known) > 1:
            return self._page(flow, "pick", accounts=[one.user for one in known])
        return self._go_on(flow, known[0])

    def _known(self, browser: str) -> list[Session]:
        return [one for one in self._browsers.get(browser, []) if self._directory.grants.is_good(one)]

    def submit(self, form: Mapping[str, str], browser: str) -> Step:
        """Takes a page's form and gives the next step."""
        act: Callable[[_Flow, Mapping[str, str], str], Step] | None
        if form.get("action") == "user_code":
            return self._user_code(form, browser)
        flow = self._flows.get(form.get("flow", ""))
        act = {
            "login": self._login,
            "pick": self._pick,
            "second_factor": self._second_factor,
            "consent": self._consent,
            "confirm": self._confirm,
            "back": self._back,
        }.get(form.get("action", ""))
        if flow is None or act is None:
            return Page("expired", {}, 400)
        return act(flow, form, browser)

    def _login(self, flow: _Flow, form: Mapping[str, str], browser: str) -> Step:
        username = form.get("username", "").strip()
        try:
            member = self._directory.members.sign_in(username, form.get("password", ""), flow.tenant)
        except Refused as refused:
            if refused.code in _TRY_AGAIN:
                return self._again(flow, "login", refused, username=username)
            return self._problem(flow, refused)
        session = self._directory.grants.open_session(member.address, form.get("password", ""))
        others = [one for one in self._browsers.get(browser, []) if one.user != member.address]
        self._browsers[browser] = [*others, session]
        return self._go_on(flow, session)

    def _pick(self, flow: _Flow, form: Mapping[str, str], browser: str) -> Step:
        chosen = [one for one in self._known(browser) if one.user == form.get("account")]
        if not chosen:
            return self._page(flow, "login", username="", message="")
        return self._go_on(flow, chosen[0])

    def _second_factor(self, flow: _Flow, form: Mapping[str, str], browser: str) -> Step:
        if flow.session is None:
            return Page("expired", {}, 400)
        member = self._directory.members.member(flow.session.user)
        if not secrets.compare_digest(form.get("code", "").strip().encode(), member.second_factor_code.encode()):
            return self._again(flow, "second_factor", Refused(500121), user=member.address)
        flow.session.second_factor = True
        return self._go_on(flow, flow.session)

    def _consent(self, flow: _Flow, form: Mapping[str, str], browser: str) -> Step:
        if flow.session is None:
            return Page("expired", {}, 400)
        if form.get("answer") != "accept":
            return self._declined(flow)
        member = self._directory.members.member(flow.session.user)
        for_all = flow.kind == "admin" or (member.is_admin and form.get("for_all") == "on")
        user = EVERYBODY if for_all else member.address
        self._directory.members.consent(flow.app, flow.permissions, user)
        flow.agreed = True
        return self._go_on(flow, flow.session)

    def _declined(self, flow: _Flow) -> Step:
        if flow.device is not None:
            flow.device.declined = True
            return self._ended(flow, Page("declined", {}))
        return self._hand_back(flow, Refused(65004))

    def _back(self, flow: _Flow, form: Mapping[str, str], browser: str) -> Step:
        if flow.device is not None:
            return self._declined(flow)
        return self._hand_back(flow, flow.problem or Refused(65004))

    # -- a device's code -----------------------------------------------------------------------------------------------

    def _user_code(self, form: Mapping[str, str], browser: str) -> Step:
        device = self._directory.grants.device_of(form.get("user_code", ""))
        seconds = self._directory.members.policy.device_code_seconds
        gone = device is None or device.declined or device.session is not None
        if device is None or gone or is_over(device.issued, seconds, self._directory.now()):
            refused = Refused(70018 if device is None or gone else 70019)
            return Page(
                "device", {"message": f"That code didn't work. Check the code and try again. (AADSTS{refused.code})"}
            )
        try:
            app = self._directory.apps.of(device.client_id, self._directory.tenant_id)
        except Refused as refused:
            return self._error_page(refused)
        permissions = device.asked.granted(app.delegated)
        flow = _Flow("device", self._directory.tenant_id, app, device.asked, permissions, device=device)
        return self._start(flow, browser)

    def _confirm(self, flow: _Flow, form: Mapping[str, str], browser: str) -> Step:
        if flow.device is None or flow.session is None or form.get("answer") != "accept":
            return self._declined(flow)
        flow.device.session, flow.device.permissions = flow.session, flow.permissions
        return self._ended(flow, Page("device_done", {"app": flow.app.name}))

    # -- what stands in the way, and the end ---------------------------------------------------------------------------

    def _go_on(self, flow: _Flow, session: Session) -> Step:
        flow.session = session
        members = self._directory.members
        member = members.member(session.user)
        try:
            members.admit(member, flow.app, flow.asked.resource, has_second_factor=session.second_factor)
        except Refused as refused:
            if refused.code == 50076 and flow.prompt != "none":
                return self._page(flow, "second_factor", user=member.address, message="")
            return self._problem(flow, refused)
        missing = not members.has_consented(flow.app, flow.permissions, member.address)
        if (missing or flow.prompt == "consent" or flow.kind == "admin") and not flow.agreed:
            return self._ask_consent(flow, member)
        return self._complete(flow, session)

    def _ask_consent(self, flow: _Flow, member: Member) -> Step:
        if flow.prompt == "none":
            return self._hand_back(flow, Refused(65001, client_id=flow.app.client_id, name=flow.app.name))
        may = member.is_admin or (flow.kind != "admin" and self._directory.members.policy.user_consent)
        if not may:
            return self._problem(flow, Refused(90094, tenant=self._directory.tenant_id, name=flow.app.name))
        return self._page(
            flow,
            "consent",
            app=flow.app.name,
            user=member.address,
            permissions=[*flow.permissions, *flow.asked.openid],
            may_for_all=member.is_admin and flow.kind != "admin",
        )

    def _complete(self, flow: _Flow, session: Session) -> Step:
        if flow.device is not None:
            return self._page(flow, "confirm", app=flow.app.name, user=session.user)
        if flow.kind == "admin":
            answer = {"admin_consent": "True", "tenant": self._directory.tenant_id}
            return self._answer(flow, answer)
        code = Code(
            flow.app.client_id,
            session,
            flow.asked,
            flow.permissions,
            flow.redirect_uri,
            flow.challenge,
            flow.challenge_method,
            flow.nonce,
            self._directory.now(),
        )
        return self._answer(flow, {"code": self._directory.grants.add_code(code), "session_state": session.session_id})

    def _problem(self, flow: _Flow, refused: Refused) -> Step:
        """What the person cannot mend on the page: said there, and handed back when they return to the app."""
        if flow.prompt == "none":
            return self._hand_back(flow, refused)
        flow.problem = refused
        said, _, _ = refusals.description(refused, self._directory.now())
        return self._page(flow, "problem", text=said, app=flow.app.name)

    def _hand_back(self, flow: _Flow, refused: Refused) -> Step:
        said, _, _ = refusals.description(refused, self._directory.now())
        answer = {"error": refused.error_at_authorize, "error_description": said}
        if refused.code == 65004:
            answer["error_subcode"] = "cancel"
        answer["error_uri"] = refusals.ERROR_PAGE.format(code=refused.code)
        return self._answer(flow, answer)

    def _answer(self, flow: _Flow, answer: dict[str, str]) -> Step:
        if flow.state:
            answer["state"] = flow.state
        if flow.response_mode == "form_post":
            return self._ended(flow, GoTo(flow.redirect_uri, answer))
        mark = "#" if flow.response_mode == "fragment" else "?"
        return self._ended(flow, GoTo(_with(flow.redirect_uri, mark, answer)))

    def _error_page(self, refused: Refused) -> Step:
        said, _, _ = refusals.description(refused, self._directory.now())
        return Page("error", {"text": said}, 400)

    def _again(self, flow: _Flow, name: str, refused: Refused, **values: object) -> Step:
        return self._page(flow, name, message=f"{_TRY_AGAIN[refused.code]} (AADSTS{refused.code})", **values)

    def _page(self, flow: _Flow, name: str, **values: object) -> Page:
        found = next((key for key, one in self._flows.items() if one is flow), "")
        if not found:
            if len(self._flows) > 1000:
                self._flows.clear()
            found = secrets.token_urlsafe(24)
            self._flows[found] = flow
        return Page(name, {"flow": found, **values})

    def _ended(self, flow: _Flow, step: Step) -> Step:
        self._flows = {key: one for key, one in self._flows.items() if one is not flow}
        return step


def _with(address: str, mark: str, answer: Mapping[str, str]) -> str:
    if mark == "?" and urlsplit(address).query:
        mark = "&"
    return f"{address}{mark}{urlencode(answer)}"
