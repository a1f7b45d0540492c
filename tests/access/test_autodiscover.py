"""Finding the EWS URL of an address: which places are asked, what is believed, and who never gets the password."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from ops_lib.access.autodiscover import Credentials, Found, discover
from ops_lib.access.autodiscover_forms import Form
from ops_lib.errors import InputError, MailboxMissing, OpsError, SignInRefused, Unreachable
from ops_lib.mailbox.ews.discovery import Got, HttpTransport
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, SERVICE

ANA = "ana@sunrise.example"
EWS = "https://mail.sunrise.example/EWS/Exchange.asmx"
ROOT = "https://sunrise.example/autodiscover/autodiscover"
AUTODISCOVER = "https://autodiscover.sunrise.example/autodiscover/autodiscover"
PLAIN_HTTP = "http://autodiscover.sunrise.example/autodiscover/autodiscover.xml"
SIGN_IN = Credentials("svc@sunrise.example", "a-secret-word", "basic")

Handler = Callable[[bool], Got]


def outlook(account: str) -> bytes:
    """A plain answer with this inside."""
    return (
        '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response '
        'xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a">'
        f"<Account>{account}</Account></Response></Autodiscover>"
    ).encode()


def settings(url: str = EWS) -> bytes:
    """A plain answer with an EWS URL."""
    return outlook(f"<Action>settings</Action><Protocol><Type>EXPR</Type><EwsUrl>{url}</EwsUrl></Protocol>")


def behind_sign_in(body: bytes, offers: str = 'Basic realm="x"') -> Handler:
    """A server that wants a sign-in, and then says this."""
    return lambda signed: Got(200, {}, body) if signed else Got(401, {"www-authenticate": offers}, b"")


def sends_on(there: str, status: int = 302) -> Handler:
    """A server that answers everything with a redirect."""
    return lambda _: Got(status, {"location": there}, b"")


def says(status: int, body: bytes = b"") -> Handler:
    """A server that says this to anybody."""
    return lambda _: Got(status, {}, body)


@dataclass
class Net:
    """Servers by URL; what is not there cannot be reached. ``sent`` is every request with whether it was signed."""

    servers: dict[str, Handler]
    seconds_each: float = 0.0
    sent: list[tuple[str, str, bool]] = field(default_factory=list)
    now: float = 0.0

    def send(
        self, method: str, url: str, form: Form, *, body: bytes, credentials: Credentials | None, timeout_seconds: float
    ) -> Got:
        self.sent.append((method, url, credentials is not None))
        assert credentials is None or url.startswith("https://")
        self.now += min(self.seconds_each, timeout_seconds)
        if url not in self.servers:
            raise Unreachable("no connection", subject=url)
        return self.servers[url](credentials is not None)

    def find(
        self, email: str = ANA, *, url: str = "", trusted: Sequence[str] = (), records: Sequence[tuple[str, int]] = ()
    ) -> Found:
        """Searches on this net."""
        return discover(
            email,
            SIGN_IN,
            transport=self,
            resolver=lambda _: records,
            url=url,
            trusted=trusted,
            clock=lambda: self.now,
        )

    @property
    def signed(self) -> list[str]:
        """Where the credentials were sent."""
        return [url for _, url, signed in self.sent if signed]


@pytest.mark.req("H6")
def test_the_order() -> None:
    """The domain is asked first, then its autodiscover host, then plain HTTP without a sign-in, then the SRV record's host."""
    net = Net({})
    with pytest.raises(Unreachable, match="no Autodiscover service knows") as nobody:
        net.find(records=[("srv.sunrise.example.", 443), ("srv2.sunrise.example.", 8443)])
    assert net.sent == [
        ("POST", f"{ROOT}.xml", False),
        ("POST", f"{AUTODISCOVER}.xml", False),
        ("GET", PLAIN_HTTP, False),
        ("POST", "https://srv.sunrise.example/autodiscover/autodiscover.xml", False),
        ("POST", "https://srv2.sunrise.example:8443/autodiscover/autodiscover.xml", False),
    ]
    assert "enter it" in nobody.value.fix
    assert "https://sunrise.example" in nobody.value.message


@pytest.mark.req("H6")
def test_found_after_a_sign_in() -> None:
    """A server that asks for a sign-in gets the credentials once, and its answer is the EWS URL with where it came from."""
    net = Net({f"{ROOT}.xml": says(404), f"{ROOT}.svc": says(404), f"{AUTODISCOVER}.xml": behind_sign_in(settings())})
    found = net.find()
    assert (found.email, found.ews_url, found.source) == (ANA, EWS, f"{AUTODISCOVER}.xml")
    assert net.signed == [f"{AUTODISCOVER}.xml"]
    assert [step.outcome for step in found.steps] == ["HTTP 404", "HTTP 404", f"gives {EWS}"]


def test_no_credentials_unasked() -> None:
    """A web server that just answers, or wants another kind of sign-in, never sees the password."""
    net = Net(
        {f"{ROOT}.xml": says(200, b"<html>Welcome</html>"), f"{AUTODISCOVER}.xml": behind_sign_in(settings(), "Bearer")}
    )
    with pytest.raises(Unreachable, match="takes no basic"):
        net.find()
    assert net.signed == []


def test_a_refused_sign_in_ends_the_search() -> None:
    """When a server does not take the password, nobody else is asked: every refusal counts towards a lock."""
    refusing = lambda _: Got(401, {"www-authenticate": "Basic"}, b"")  # noqa: E731
    net = Net({f"{ROOT}.xml": refusing, f"{AUTODISCOVER}.xml": behind_sign_in(settings())})
    with pytest.raises(SignInRefused) as refused:
        net.find()
    assert net.signed == [f"{ROOT}.xml"]
    assert "a-secret-word" not in str(refused.value) + repr(refused.value) + repr(SIGN_IN)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_within_the_domain(status: int) -> None:
    """A redirect to another host of the domain is followed, and so is one to Microsoft's."""
    for there in (
        "https://mail.sunrise.example/a/b.xml",
        "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml",
    ):
        net = Net({PLAIN_HTTP: sends_on(there, status), there: behind_sign_in(settings())})
        assert net.find().source == there
        assert net.signed == [there]


@pytest.mark.parametrize(
    "there",
    [
        "https://sunrise.example.evil.example/autodiscover/autodiscover.xml",
        "https://evilsunrise.example/x.xml",
        "https://outlook.com.evil.example/x.xml",
        "https://sunrise.example@evil.example/x.xml",
        "http://mail.sunrise.example/x.xml",
        "ftp://mail.sunrise.example/x.xml",
        "https://",
        "",
    ],
)
@pytest.mark.parametrize("place", [PLAIN_HTTP, f"{ROOT}.xml"])
def test_redirects_that_are_not_followed(place: str, there: str) -> None:
    """An unsigned redirect to a stranger, or away from https, is not followed; the message says where it pointed."""
    net = Net({place: sends_on(there), there: behind_sign_in(settings())})
    with pytest.raises(Unreachable, match="points to"):
        net.find()
    assert net.signed == []
    assert there not in [url for _, url, _ in net.sent]


def test_a_stranger_that_is_trusted() -> None:
    """A host outside the domain is gone to when the person named it as trusted."""
    there = "https://hoster.example/autodiscover/autodiscover.xml"
    net = Net({PLAIN_HTTP: sends_on(there), there: behind_sign_in(settings())})
    assert net.find(trusted=["Hoster.example"]).source == there


def test_a_redirect_of_a_signed_answer() -> None:
    """Where the organisation's own server, asked with a sign-in, names another host, its word is good."""
    there = "https://hoster.example/autodiscover/autodiscover.xml"
    first = outlook(f"<Action>redirectUrl</Action><RedirectUrl>{there}</RedirectUrl>")
    net = Net({f"{ROOT}.xml": behind_sign_in(first), there: behind_sign_in(settings())})
    assert net.find().source == there
    unsigned = Net({f"{ROOT}.xml": says(200, first), there: behind_sign_in(settings())})
    with pytest.raises(Unreachable, match=r"hoster\.example, which is not of"):
        unsigned.find()


def test_another_address() -> None:
    """An address that lives under another one now is asked for under that one, at that one's places."""
    cloud = "https://autodiscover.sunrise.onmicrosoft.com/autodiscover/autodiscover.xml"
    moved = outlook("<Action>redirectAddr</Action><RedirectAddr>ana@sunrise.onmicrosoft.com</RedirectAddr>")
    net = Net({f"{ROOT}.xml": behind_sign_in(moved), cloud: behind_sign_in(settings())})
    found = net.find()
    assert (found.email, found.source) == ("ana@sunrise.onmicrosoft.com", cloud)


def test_circles_end() -> None:
    """Servers, and addresses, that send each other in a circle are left; a chain ends after ten redirects."""
    one, two = "https://a.sunrise.example/x.xml", "https://b.sunrise.example/x.xml"
    net = Net({f"{ROOT}.xml": sends_on(one), one: sends_on(two), two: sends_on(one)})
    with pytest.raises(Unreachable, match="a circle"):
        net.find()
    assert len(net.sent) < 12

    def moved(to: str) -> Handler:
        return behind_sign_in(outlook(f"<Action>redirectAddr</Action><RedirectAddr>{to}</RedirectAddr>"))

    net = Net(
        {f"{ROOT}.xml": moved("ana@dawn.example"), "https://dawn.example/autodiscover/autodiscover.xml": moved(ANA)}
    )
    with pytest.raises(Unreachable):
        net.find()
    assert len(net.sent) < 12

    chain = {
        f"https://h{n}.sunrise.example/x.xml": sends_on(f"https://h{n + 1}.sunrise.example/x.xml") for n in range(50)
    }
    net = Net({f"{ROOT}.xml": sends_on("https://h0.sunrise.example/x.xml"), **chain})
    with pytest.raises(Unreachable, match="more than 10"):
        net.find()
    assert sum(".sunrise.example/x.xml" in url for _, url, _ in net.sent) == 10


def test_time_is_limited() -> None:
    """Servers that keep silent cost a minute altogether, however many there are."""
    net = Net({}, seconds_each=25)
    with pytest.raises(Unreachable, match="no connection"):
        net.find(records=[(f"srv{n}.sunrise.example", 443) for n in range(20)])
    assert net.now <= 60
    assert len(net.sent) <= 7


def test_soap_where_plain_will_not_do() -> None:
    """A server without the plain form is asked in SOAP, at the same place."""
    answer = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetUserSettingsResponseMessage '
        b'xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover"><Response><ErrorCode>NoError</ErrorCode>'
        b"<UserResponses><UserResponse><ErrorCode>NoError</ErrorCode><UserSettings><UserSetting>"
        b"<Name>ExternalEwsUrl</Name><Value>https://mail.sunrise.example/EWS/Exchange.asmx</Value></UserSetting>"
        b"</UserSettings></UserResponse></UserResponses></Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>"
    )
    net = Net({f"{ROOT}.xml": says(404), f"{ROOT}.svc": behind_sign_in(answer)})
    assert net.find().ews_url == EWS


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not as Autodiscover does"),
        (b"<html/>", "not as Autodiscover does"),
        (b"\xff\xfe\x00", "not as Autodiscover does"),
        (
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><Autodiscover>&x;</Autodiscover>',
            "not as Autodiscover does",
        ),
        (outlook("<Action>settings</Action>"), "gives no EWS URL"),
        (settings("http://mail.sunrise.example/EWS/Exchange.asmx"), "not encrypted"),
        (settings("http://127.0.0.1/EWS/Exchange.asmx"), "not encrypted"),
        (settings("https://mail.sunrise.example/owa"), "does not end in .asmx"),
        (
            outlook("<Action>redirectAddr</Action><RedirectAddr>nowhere</RedirectAddr>"),
            "sends on to the address nowhere",
        ),
        (outlook("<Action>redirectUrl</Action><RedirectUrl>http://x.example/</RedirectUrl>"), "which is not https"),
    ],
)
def test_answers_that_will_not_do(body: bytes, said: str) -> None:
    """What is no answer, or gives no encrypted EWS URL, is passed over, and the message says why."""
    net = Net({f"{ROOT}.xml": behind_sign_in(body)})
    with pytest.raises(Unreachable) as nobody:
        net.find()
    assert said in nobody.value.message


def test_an_unknown_address() -> None:
    """Where the organisation's server does not know the address, that is what is said, not that there is no server."""
    error = (
        b'<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response>'
        b"<Error><ErrorCode>500</ErrorCode><Message>The email address can't be found.</Message></Error></Response></Autodiscover>"
    )
    with pytest.raises(MailboxMissing, match="error 500"):
        Net({f"{ROOT}.xml": behind_sign_in(error)}).find()


@pytest.mark.parametrize(
    "email",
    ["", "ana", "@sunrise.example", "ana@", "ana@localhost", "ana@a/b.example", "ana@x.example:1", "a@b c.example"],
)
def test_no_address(email: str) -> None:
    """What is no email address is refused before anybody is asked."""
    net = Net({})
    with pytest.raises(InputError, match="is no email address"):
        net.find(email)
    assert net.sent == []


def test_a_place_that_is_given() -> None:
    """With a place given, it is asked and nothing else; it must be https."""
    place = "https://hoster.example/autodiscover/autodiscover.xml"
    net = Net({place: behind_sign_in(settings())})
    assert net.find(url=place).source == place
    assert [url for _, url, _ in net.sent] == [place, place]
    with pytest.raises(InputError, match="no https address"):
        net.find(url=place.replace("https", "http"))


# -- against the sandbox, over real HTTP -------------------------------------------------------------------------------


class Mapped(HttpTransport):
    """The real transport, with every name leading to the sandbox's listeners, as a name service of one's own would."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(str(sandbox.ca_file))
        self._https = urlsplit(sandbox.ews_url_https).netloc
        self._http = urlsplit(sandbox.ews_url).netloc

    def send(self, method: str, url: str, form: Form, **rest: Any) -> Got:
        parts = urlsplit(url)
        there = self._https if parts.scheme == "https" else self._http
        return super().send(method, parts._replace(netloc=there).geturl(), form, **rest)


def in_sandbox(sandbox: Sandbox, auth: str = "basic", secret: str = "") -> Found:
    """Finds alice with the service account's credentials."""
    transport = Mapped(sandbox)
    try:
        credentials = Credentials(SERVICE, secret or sandbox.passwords[SERVICE], auth)
        return discover(ALICE, credentials, transport=transport)
    finally:
        transport.close()


@pytest.mark.req("H6")
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_the_sandbox(sandbox: Sandbox, auth: str) -> None:
    """The sandbox's mailbox is found over HTTPS by password, Basic and NTLM, with one sign-in."""
    assert in_sandbox(sandbox, auth).ews_url == sandbox.ews_url_https
    assert sandbox.attempts.count(SERVICE) == 1


def test_the_sandbox_by_token(sandbox: Sandbox) -> None:
    """A bearer token signs in as well."""
    form = {"grant_type": "client_credentials", "client_id": sandbox.app.client_id, "client_secret": sandbox.app.secret}
    _, answer = sandbox.directory.token("example.test", {**form, "scope": "https://outlook.office365.com/.default"})
    assert in_sandbox(sandbox, "bearer", answer["access_token"]).ews_url == sandbox.ews_url_https


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_one_try_with_a_wrong_password(sandbox: Sandbox, auth: str) -> None:
    """A wrong password is tried once on the whole search."""
    with pytest.raises(SignInRefused):
        in_sandbox(sandbox, auth, "wrong")
    assert sandbox.attempts.count(SERVICE, "refused") == 1


def test_the_sandbox_at_its_own_address(sandbox: Sandbox) -> None:
    """With the address of the sandbox's first line and its CA the search needs no name service; without the CA nothing is sent."""
    credentials = Credentials(SERVICE, sandbox.passwords[SERVICE])
    url = sandbox.document()["autodiscover_url"]
    for ca_file in (str(sandbox.ca_file), ""):
        transport = HttpTransport(ca_file)
        try:
            found: Found | OpsError = discover(ALICE, credentials, transport=transport, url=url)
        except OpsError as problem:
            found = problem
        finally:
            transport.close()
        if ca_file:
            assert isinstance(found, Found)
        else:
            assert isinstance(found, Unreachable)
            assert "certificate" in found.message
    assert sandbox.attempts.count(SERVICE) == 1
