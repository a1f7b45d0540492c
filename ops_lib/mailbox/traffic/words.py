"""Which words of a server's text may stay: those that servers use to say what went wrong, and no others.

A text is taken apart; addresses, hosts and ids in it get their stand-ins, known words stay, everything else becomes "…". So "The specified
object was not found in the store." stays as it is, and a name that a server works into its message does not.
"""

from __future__ import annotations

import re

from ops_lib.mailbox.traffic.standins import ADDRESS, GUID, HOST, IP, StandIns, listed

LONGEST_TEXT = 4000

_ALSO_NAMES = frozenset(
    {"will", "may", "grant", "mark", "june", "april", "max", "page", "case", "long", "field", "major", "day"}
)
"""Words that are people's names as well: with a capital letter they go."""

_CODE = re.compile(
    r"(?:Error[A-Z][A-Za-z]{2,60}|NoError|AADSTS\d{4,8}|Exchange20\d\d(?:_SP\d)?|X-[A-Z][A-Za-z-]{2,30}:?)"
)
_STATUS = re.compile(r"[1-5]\d\d")
_URL = re.compile(r"https?://[^\s\"'<>)]+", re.IGNORECASE)
_MOMENT = re.compile(r"\b20\d\d-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?Z?)?\b")
_PIECES = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+|[ \t\n\r.,;:!?()\"'/=<>_-]+|.", re.DOTALL)
_DOTTED = frozenset({"ews.accessasuser.all", "ews.accessasapp", "exchange.asmx", "mail.send", "calendars.readwrite"})
_TOKEN = re.compile(
    f"(?P<code>\\bAADSTS\\d{{4,8}}\\b)|(?P<moment>{_MOMENT.pattern})|(?P<url>{_URL.pattern})|(?P<address>{ADDRESS.pattern})|(?P<guid>{GUID.pattern})|(?P<ip>{IP.pattern})|(?P<host>{HOST.pattern})",
    re.IGNORECASE,
)


def plain(text: str, stand_ins: StandIns, known: frozenset[str] = frozenset()) -> str:
    """A server's text with only the words that servers use, and those of ``known`` (lower case)."""
    from ops_lib.mailbox.traffic.web import url  # which knows what a URL's parts may say

    shown: list[str] = []
    at = 0
    text = text[:LONGEST_TEXT]
    for token in _TOKEN.finditer(text):
        shown += _words(text[at : token.start()], stand_ins, known)
        kind, value = token.lastgroup or "", token.group(0)
        if kind == "url":
            shown.append(url(value, stand_ins))
        elif kind in ("moment", "code") or (kind == "host" and (_CODE.fullmatch(value) or value.lower() in _DOTTED)):
            shown.append(value)
        else:
            shown.append(getattr(stand_ins, "host" if kind == "ip" else kind)(value))
        at = token.end()
    shown += _words(text[at:], stand_ins, known)
    return re.sub(r"…(?:[ …]*…)+", "…", "".join(shown)).strip()


def is_known(word: str) -> bool:
    """Whether servers use the word, or the code."""
    return word.lower() in KNOWN or _CODE.fullmatch(word) is not None


def _words(text: str, stand_ins: StandIns, known: frozenset[str]) -> list[str]:
    shown: list[str] = []
    pieces = _PIECES.findall(text)
    for number, piece in enumerate(pieces):
        if not piece[0].isalnum():
            shown.append(piece if piece.isascii() else "…")
        elif piece.isdigit():
            beside = [each for each in pieces[max(0, number - 2) : number + 3] if each.isdigit()]
            is_kept = len(piece) <= 5 if known else _STATUS.fullmatch(piece) is not None
            shown.append(piece if is_kept and len(beside) == 1 else "…")
        elif (is_known(piece) or piece.lower() in known) and (piece[0].islower() or piece.lower() not in _ALSO_NAMES):
            shown.append(piece)
        else:
            stand_ins.word(piece)
            shown.append("…")
    return shown


KNOWN = listed(
    """
a aadsts about accept accept-encoding accepted accepts access accessasapp accessasuser according account account's
act action active activity's ad add added address adds admin administrator affectedtaskoccurrences after again agreed
aka alias all allow allowed allows alone already among an and another answer answers any anybody anything api app
app's append appidacr application applicationimpersonation approved apps are as ask asked asks asmx asserted
assertion assign assigned assigns associated at attacks attempted attribute aud audience auth authentication author
authority authorization authorize authorized autodiscover available azure back bad base basic batch be bearer because
become been before behalf behind being belongs between big block blocked blocks body both browser budget but by bytes
c calendar calendarview caller callers calls came can can't cancellations cannot case category certcreds certificate
certificate's certificates challenge change changed changekey charset check checked checks child claim claims client
client's cloud code codes column com combination comes common companion compare completed completedate compliant
component compressed compression concerned concurrent conditional configuration configure configured connection
connections consent consented consider consumers contact contain contains content content-encoding content-length
content-type continue conversion converted cookies copied copy correct correlation corrupt could counted counts
create created credential credentials crm current currently cycle d damaged data database datatype date decides
declined decode deemed default defaults deflate delay delegate delegated delegatemissing delegates delete deleted
demand denied description desktop device devicecode diagnostics did different direct directly directory disabled
displayed displayname distinguished do docs does doesn't domain down draws due duration during each earlier edit
editor either element elements else empty enable enables enddate ended endpoint endpoints ends enough enroll ensure
enter entered enterprise enters entra entra's envelope error errorinternalservererror errorrequeststreamtoobig
errorserverbusy event event's events every everything ews ewsallowedappids ewsapplicationaccesspolicy ewsblockedbyadmin ewsenabled
ewsfindcountlimit ewsmaxconcurrency ewspercenttimeincas exactly examples exceeded exceeds exchange
exchangeimpersonation exist existing exists exp expected expired expires expiry extended f face factor failed failing
false far fault fewer field fields filter find finer firewall first fit five fix flow flows folder folder's folders
following for forbidden force forgets forgotten form format found fractional free frequency fresh from full future g
gateway gave generation gets give given gives go goes good grant granted grants group grouping gzip h had handed
hands happen happened has have head header headers here hint hit hits holds host host's hostname how html http https
hyphens iat id identifier identities identity ids if impersonate impersonated impersonation implied in inactive
inactivity include incomplete incorrect index indexedpagingoffset info information input inside installed instant
instead insufficient integer interaction interactive internal into intune invalid invitations is issuance issued
issuer it item item's items its itself join joined json jwk jwt keep keeps kept key keys kind kinds know known knows
larger late later learn least leave leaves legacy length let lets letter level licence lifetime like limit line list
listed lists location locked log login long longer look looks m made mail mailbox mailbox's mailboxes maintenance
make makes making malformed many map master match matched matches matching maximum may md mdm mean meanings means
meet meeting member memory mend message messagedisposition messages method mfa microsoftonline might milliseconds
mime misconfigured missed missing mobile modify moment more most mounted move moved ms msal multi-factor multi-tenant
multiple must n name named names namespace navigate nbf near needed needs negotiate neither net never new
newclientsecret newer next no nobody non-calendar non-contact non-empty non-task none nor not nothing notsignedin now
ntlm number oauth object objects occurred occurrence occurrences of off offered offers office offline often older on
once one ones online only open opened operation or organisation organisation's organization organizations organizer
other otherwise our out outlook outside over own owner page paging parameter parameters partition parts pass passed
password pattern pause pending percentcomplete performed period permission permissions person pkce place plain please
policies policy polling port portal possible post preferred presented previously primary principal privileges
probability process progress promises properly properties property property's protocol provided provider proxy public
puts query quota r raise ran random range reach reached read reads real realm reason received receiver recipient
recipients recurrence recurring redeemed redirect reduce referencing refresh refusal refused refuses register
registered registers registration registration's remove removed replaces replica reply represent request request's
requested requesting requests requestserverversion required requires reset resource resources response restriction
result results retired retirement retry returned reviewer revoked rfc right rights risk role roles rule rules runtime
s same save say says scenario scheduled schema scheme scope scp search second seconds secret secret's secrets
security see seed selected selection self send sender sendmeetingcancellations sendmeetinginvitations sends sent
series server server's servers service services session sessions set sets settings several short should shown shows
sid sign sign-in sign-in's signature signed signin signing signs silent silently since site size smtp so soap some
somebody sorted sorting space spaces speaks specifically specified specify split stamp stands startdate starts state
states status stays step still stopped store str string strong sts suberror subject subscription subscription's
subscriptions succeed such suffixed supplied supported sure sync synchronization tag takes target task task's tasks
temporarily tenant tenant's tenant-identifying tenant-specific terminated text than that the their theirs them then
there they thing this those threads throttled throttling through thumbprint time timed timeout times timestamp to
token token's tokenrefused tokens tokensvalidfrom told too trace transfer-encoding transient tried tries troubleshoot
true truncate try two type typing unauthorized unavailable under understood undoes unexpected unique unknown unless
unlocks unsafe unsupported up update updated uploads upstream uri uris urlsafe usage use used user user's username
users using utc utf v valid validating validation value values vendor verification verifier verify version versions
view visit wait waiting wanted wants was way ways web website were what when where whether which who whole whose why
will window windows with withdrawn within without would writes written wrong ws-federation www-authenticate
x-ms-diagnostics xml y years yet you you've your zone
"""
)
"""Of response texts of Exchange, of the directory's, of gateways and sign-in pages. Lower case."""
