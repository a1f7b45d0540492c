"""What a status hides: the sub-cause shown beside it, who must act, and what to do. Pure; `docs/statuses/` is this table and that of the statuses.

A status says in the CRM's thirteen words that something is wrong; several causes share each of them. `of_failure` tells them apart by what the
server or the directory said, and by what else is known of the host.

**Source** the CRM's help article; EWS *ResponseCode*; Exchange Online, *HTTP 403 responses*; the retirement of EWS and of ApplicationImpersonation.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import date

from ops_lib.diagnosis import sign_in_errors
from ops_lib.diagnosis import statuses as s

EXCHANGE = "the customer's Exchange administrator"
TENANT = "the tenant's administrator"
CRM = "a CRM administrator"
NETWORK = "who keeps this machine's network"
USER = "the user"
SUPPORT = "support"
NOBODY = "nobody"

EWS_ENDS = date(2027, 4, 1)
"""From this day on Exchange Online has no EWS; the tenant's administrator cannot turn it on again."""
EWS_ENDING = date(2026, 10, 1)
"""From this day on Exchange Online switches EWS off, tenant by tenant."""
ROLE_WITHDRAWN = date(2025, 2, 1)
"""From this day on Exchange Online has no role ApplicationImpersonation."""


NOT_TRUSTED = "certificate is not trusted"
"""What every error says that is about the certificate itself, and not about a handshake that was cut off, or was none."""


@dataclass(frozen=True, slots=True)
class SubCause:
    """One cause behind a status. ``statuses`` are those it may stand behind; ``looks`` is how it shows itself."""

    title: str
    statuses: tuple[str, ...]
    meaning: str
    looks: str
    owner: str
    next_step: str


_ANY = (s.NOT_SYNCING,)
_OK = (s.SYNCING,)

SUB_CAUSES: dict[str, SubCause] = {
    # ── the way to the server
    "name_unknown": SubCause("the server's name has no address", (s.INVALID_URL,), "The name in the host's URL is misspelt, or this machine's name service does not know it.", "`DNS`, \"the name is not known\"", CRM, "correct the host's URL: syncops host edit HOST --url."),
    "not_reachable": SubCause("no connection to the server", (s.INVALID_URL,), "The port is wrong, the server or its load balancer is down, or a firewall or proxy stands between.", "`TCP`, refused or silent; a TLS handshake that fails before there is a certificate to judge", NETWORK, "check the port in the host's URL, the firewall, and whether a proxy is needed (HTTPS_PROXY)."),
    "certificate_refused": SubCause("the server's certificate is not trusted", (s.INVALID_URL,), "It has expired, is for another name, or is signed by an authority that this machine does not know.", "`TLS`", EXCHANGE, "renew the certificate, or give the host its authority: syncops host edit HOST --ca-bundle FILE."),
    "certificate_expiring": SubCause("the server's certificate ends soon", _OK, "From its last day on nobody connects any more.", "a date within 30 days", EXCHANGE, "renew the server's certificate."),
    "not_ews": SubCause("what answers at the URL is no EWS", (s.INVALID_URL, s.NOT_SYNCING), "The path is wrong (it ends in /EWS/Exchange.asmx), the server sends elsewhere, or a web page answers.", "`HTTP 404`, a redirect, a page", CRM, "correct the host's URL; syncops host discover ACCOUNT finds it."),
    "page_in_the_way": SubCause("a web page answers in the server's place", (s.NOT_SYNCING, s.INVALID_URL), "A sign-in page, a proxy or a maintenance page stands before EWS and answers 200 with HTML.", "\"the answer is a web page, not SOAP\"", EXCHANGE, "let /EWS/ through without a sign-in page before it, or correct the host's URL."),
    "answer_lost": SubCause("the server does not answer in time, or what it answers is none", (s.NOT_SYNCING,), "It hangs, is overloaded, cuts its answers short, or sends what is no SOAP. What was written is looked up before it is written again.", "no code; `AnswerLost` in the evidence", EXCHANGE, "look at the server's load and at what stands between (a load balancer's time limit)."),
    "server_error": SubCause("the server fails inside", (s.INTERNAL_SERVER_ERROR, s.NOT_SYNCING), "Exchange itself failed. It often passes; if it lasts, the server's event log at that time says more.", "`ErrorInternalServerError`, `HTTP 5xx`", EXCHANGE, "wait; if it lasts over an hour, look into the server's event log at the time and with the request-id of the evidence."),
    "front_end_error": SubCause("the server's front end fails", (s.INTERNAL_SERVER_ERROR, s.NOT_SYNCING), "The front end could not pass the request on: the mailbox' server is down, or its certificate or authentication is broken.", "the header `X-CasErrorCode`", EXCHANGE, "look into the front end's HttpProxy log with the request-id of the evidence."),
    "backend_away": SubCause("the mailbox' database or the directory is away", (s.NOT_SYNCING, s.INTERNAL_SERVER_ERROR), "A database fails over, a mailbox moves, or the directory does not answer.", "`ErrorMailboxStoreUnavailable`, `ErrorADUnavailable`, `ErrorMailboxMoveInProgress` …", EXCHANGE, "wait; if it lasts, look at the database copies and at moves under way."),
    "wrong_version": SubCause("the server does not know the version asked for", (s.VERSION_NOT_SUPPORTED,), "The host's version is newer than the server, or than the mailbox' server.", "`ErrorInvalidServerVersion` and its like", CRM, "set the host's version to the server's: syncops host edit HOST --version."),
    "throttled_mailbox": SubCause("the server throttles, on the mailbox' budget", (s.NOT_SYNCING,), "With impersonation most of what is done is charged to the mailbox itself, its other programs and phones included.", "`ErrorServerBusy` with BackOffMilliseconds, `HTTP 429`, `HTTP 503`", EXCHANGE, "nothing, if it passes with the pause the server named; else find what else reads this mailbox, or raise its throttling policy."),
    "throttled_account": SubCause("the server throttles, on the service account's budget", (s.NOT_SYNCING,), "With delegate access everything is charged to the service account, whichever mailbox it reads.", "`ErrorServerBusy`, `ErrorExceededConnectionCount`, `HTTP 429`, `HTTP 503`", EXCHANGE, "fewer threads (syncops sync --threads), or a throttling policy of its own for the service account (on premises), or impersonation."),
    "clock_off": SubCause("the clocks of server and machine are apart", (s.SYNCING, s.UNAUTHORIZED), "Over five minutes apart, tokens and Kerberos tickets are refused.", "the header `Date`", NETWORK, "set this machine's clock by a time server."),
    # ── signing in
    "wrong_password": SubCause("user name or password is wrong", (s.UNAUTHORIZED,), "The service account's (or, with direct access, the user's) password is not accepted. It is not sent again until it is another one, so that the account is not locked.", "`HTTP 401`", CRM, "enter the right one: syncops host rotate HOST (direct access: the account's own, with syncops account add)."),
    "account_locked": SubCause("the account is locked or disabled", (s.UNAUTHORIZED,), "Too many wrong passwords, or an administrator's doing.", "`HTTP 401` \"currently locked out\", `AADSTS50053`, `AADSTS50057`, `ErrorAccountDisabled`", TENANT, "unlock or enable the account in the directory, then syncops signin ACCOUNT (or host rotate)."),
    "password_expired": SubCause("the password has expired", (s.UNAUTHORIZED,), "The directory asks for a new password.", "`ErrorPasswordExpired`, `ErrorPasswordChangeRequired`, `AADSTS50055`", CRM, "have a new password set, and enter it: syncops host rotate HOST."),
    "sign_in_method_refused": SubCause("the server does not take the host's way of signing in", (s.UNAUTHORIZED,), "Basic or NTLM is switched off at the server, or Extended Protection breaks NTLM behind a load balancer.", "`HTTP 401` offering other ways; NTLM broken off", CRM, "set the host's sign-in to one the server offers: syncops host edit HOST --auth."),
    "token_refused": SubCause("the server does not accept the token", (s.UNAUTHORIZED,), "The directory gave a token and Exchange does not take it: the permission is missing, it is for another tenant, or it was withdrawn.", "`HTTP 401` with `invalid_token`; `x-ms-diagnostics` says why", CRM, "check tenant id, client id and the permission (full_access_as_app, or EWS.AccessAsUser.All); then syncops signin ACCOUNT."),
    "not_signed_in": SubCause("nobody has signed in yet", (s.UNAUTHORIZED,), "This account waits for a person to sign in.", "`not signed in`", "who signs in", "syncops signin ACCOUNT."),
    "sign_in_over": SubCause("the sign-in holds no longer", (s.UNAUTHORIZED,), "It was withdrawn, has expired, or a new password or a second factor is asked for.", "`AADSTS50173`, `AADSTS700082`, `AADSTS50076` …", "who signs in", "syncops signin ACCOUNT."),
    "secret_expired": SubCause("the client secret has expired", (s.UNAUTHORIZED,), "Secrets of an app registration end, after two years at most.", "`AADSTS7000222`, or the date on the host", CRM, "make a new secret in the app registration and enter its value: syncops host rotate HOST."),
    "secret_expiring": SubCause("the client secret ends soon", _OK, "From its last day on every account of the host stops at once.", "a date within 30 days", CRM, "make a new secret now and enter its value: syncops host rotate HOST."),
    "secret_wrong": SubCause("the client secret is wrong", (s.UNAUTHORIZED,), "Often the secret's ID was copied in place of its value.", "`AADSTS7000215`", CRM, "enter the column Value of Certificates & secrets: syncops host rotate HOST."),
    "secret_missing": SubCause("the host's secret is not there", (s.NOT_SYNCING, s.UNAUTHORIZED), "The environment variable, file or vault entry that the host names is missing or cannot be read.", "our own words, no code", CRM, "set what the host names, or enter it again: syncops host rotate HOST."),
    "consent_missing": SubCause("the app's permissions lack consent", (s.UNAUTHORIZED,), "Nobody, or no administrator, has consented to what the app asks for, or it asks for too little.", "`AADSTS65001`, `AADSTS90094`, `AADSTS650056`, `AADSTS650057`", TENANT, "grant admin consent on the API permissions page."),
    "app_refused": SubCause("the tenant does not know the app, or has disabled it", (s.FORBIDDEN, s.UNAUTHORIZED), "The client id or tenant id is wrong, or the enterprise application is disabled: the article's \"unauthorized client\".", "`AADSTS700016`, `AADSTS7000112`, `unauthorized_client`", TENANT, "check client id and tenant id of the host; enable the enterprise application."),
    "policy_of_directory": SubCause("the directory's policy refuses the sign-in", (s.UNAUTHORIZED,), "Conditional Access, security defaults, a sign-in that is not assigned.", "`AADSTS53003`, `AADSTS530032`, `AADSTS50105` …", TENANT, "look at the policy that the sign-in log names."),
    "directory_refuses": SubCause("the directory gives no token", (s.UNAUTHORIZED,), "Its code says why; docs/sign_in_errors.md has them.", "another `AADSTS` code, or an OAuth error", CRM, "act on the code: docs/sign_in_errors.md."),
    "directory_away": SubCause("the directory cannot be reached, or fails", (s.NOT_SYNCING,), "Without a token nobody signs in; the mail server itself may be well.", "`sign-in address unreachable`, `no JSON`", NETWORK, "check the host's authority, the name service, the firewall and the CA bundle."),
    # ── being let in
    "ews_disabled": SubCause("EWS is disabled for the organisation or the mailbox", (s.FORBIDDEN,), "EwsEnabled is False, set by an administrator or by Microsoft's retirement of EWS. Both the organisation and the mailbox must allow it.", "`HTTP 403`, `X-EWS-Policy-Reason: EWS is disabled for this user or tenant`", TENANT, "Get-OrganizationConfig and Get-CASMailbox show EwsEnabled; set it to True (about an hour), list the app in EwsAllowedAppIDs (up to a day), and plan the move to Graph before April 2027."),
    "ews_blocked_by_policy": SubCause("EWS is blocked by an app list or a user-agent policy", (s.FORBIDDEN,), "The app is not in EwsAllowedAppIDs, or EwsApplicationAccessPolicy with its allow or block list refuses the program. From October 2026 an empty list blocks all.", "`HTTP 403`, `X-EWS-Policy-Reason: EWS is blocked by policy for this user or tenant`", TENANT, "add the host's client id to EwsAllowedAppIDs (the whole list is replaced, up to a day), and let the user agent \"syncops\" through EwsAllowList/EwsBlockList."),
    "ews_retired": SubCause("Exchange Online has no EWS any more", (s.FORBIDDEN, s.NOT_SYNCING, s.INVALID_URL), "Microsoft ended EWS in Exchange Online on 1 April 2027; nobody can turn it on again.", "any refusal of Exchange Online after that day", SUPPORT, "move the host to Microsoft Graph."),
    "ews_ending": SubCause("EWS in Exchange Online is being switched off", _OK, "Since 1 October 2026 Microsoft switches EWS off, tenant by tenant; on 1 April 2027 it ends for good.", "the host's URL", TENANT, "keep EwsEnabled True with the client id in EwsAllowedAppIDs, and plan the move to Graph."),
    "forbidden": SubCause("the server forbids the request and does not say why", (s.FORBIDDEN,), "A 403 without X-EWS-Policy-Reason: another policy, a licence without EWS (Kiosk, F1, F3), IP or SSL rules of IIS, or a reverse proxy.", "`HTTP 403` without the header", EXCHANGE, "look at EwsEnabled, EwsAllowedAppIDs, the user's licence, and what stands before the server."),
    "impersonation_withdrawn": SubCause("Exchange Online withdrew the role ApplicationImpersonation", (s.IMPERSONATION_FAILED,), "Since February 2025 no account that signs in as a user can act for others there; an app can.", "`ErrorImpersonateUserDenied` from Exchange Online, signed in as a user", TENANT, "use an app with full_access_as_app or the role Application EWS.AccessAsApp (syncops host edit HOST --auth oauth-app), or --access direct."),
    "impersonation_missing": SubCause("the account may not act for this user", (s.IMPERSONATION_FAILED,), "The role ApplicationImpersonation (or, for an app, Application EWS.AccessAsApp) is not assigned.", "`ErrorImpersonateUserDenied`", EXCHANGE, "syncops rights script --host HOST writes the cmdlets."),
    "out_of_scope": SubCause("the user is outside the scope of the role", (s.IMPERSONATION_FAILED,), "The account acts for others of this host, not for this user: the management scope does not hold them (nested groups do not count).", "`ErrorImpersonateUserDenied` while others of the host work", EXCHANGE, "put the user into the scope's group or attribute; Test-ServicePrincipalAuthorization shows InScope. It may take two hours."),
    # ── the mailbox
    "no_mailbox": SubCause("no mailbox has this address", (s.MAILBOX_NOT_SET_UP,), "The address is misspelt, its domain is wrong, or the mailbox was removed.", "`ErrorNonExistentMailbox`, \"The SMTP address has no mailbox associated with it\"", CRM, "correct the account's mailbox address, or have a mailbox made."),
    "alias_address": SubCause("the address is an alias", (s.MAILBOX_NOT_SET_UP, s.SYNCING), "The mailbox has another primary address. Some servers refuse an alias; under one a mailbox may be claimed twice unseen.", "`ErrorNonPrimarySmtpAddress`, or ResolveNames gives another address", CRM, "make the account for the primary address: syncops account add --email PRIMARY."),
    "mailbox_elsewhere": SubCause("the directory knows the user, and this server has no mailbox for them", (s.MAILBOX_NOT_SET_UP,), "The mailbox is on premises while the host is Exchange Online (or the other way round), is being made, or its licence was taken away.", "`ErrorNonExistentMailbox` while ResolveNames finds the address", EXCHANGE, "find out where the mailbox is (Get-Recipient; syncops host discover ACCOUNT) and put the account on the host that serves it."),
    "unlicensed": SubCause("the user's licence does not include the mailbox", (s.MAILBOX_NOT_SET_UP,), "The licence was taken away or lacks Exchange.", "`ErrorInvalidLicense`", TENANT, "assign a licence with Exchange."),
    "claimed_twice": SubCause("two accounts have this mailbox", _OK, "Two CRM users (or two hosts) keep one calendar in step: entries of one appear at the other.", "our own accounts; ResolveNames leads to the same mailbox", CRM, "switch one of them off: syncops account disable ACCOUNT."),
    "folder_closed": SubCause("the calendar or tasks folder does not open", (s.ACCESS_DENIED_FOLDER,), "The account has no right in the folder, or the host's access type is not the one that was granted. A server says of a folder that one may not see that it is not there.", "`ErrorAccessDenied`, `ErrorFolderNotFound`, `ErrorItemNotFound`", EXCHANGE, "syncops rights check --host HOST says which right is missing, syncops rights script writes the cmdlets."),
    "rights_missing": SubCause("the folder opens, and rights in it are missing", (s.ACCESS_DENIED_FOLDER, s.SYNCING), "Reviewer or Author where the sync needs Editor.", "`EffectiveRights`, `ErrorAccessDenied` on a write", EXCHANGE, "give the account the level Editor on Calendar and Tasks: syncops rights script --host HOST."),
    "send_as_missing": SubCause("the service account may not send as the user", (s.FORBIDDEN,), "A delegate needs Send As on each user's mailbox; rights in folders never allow sending.", "`ErrorSendAsDenied`", EXCHANGE, "give the service account Send As on the mailbox: syncops rights script --host HOST."),
    "private_hidden": SubCause("private items are hidden from the service account", _OK, "A delegate without \"can view private items\" does not see them: they are silently missing in the CRM.", "`ViewPrivateItems` false", USER, "tick \"Delegate can see my private items\" in Outlook, or use impersonation."),
    "wrong_folder": SubCause("the default folder is of another kind, or gives no properties", (s.INVALID_FOLDER,), "The default Calendar or Tasks folder is damaged.", "`ErrorItemPropertyRequestFailed`, a folder of another class", EXCHANGE, "look at the mailbox in Outlook; outlook.exe /resetfolders, or New-MailboxRepairRequest."),
    "mailbox_full": SubCause("the mailbox is full", (s.SYNCING, s.NOT_SYNCING), "Nothing can be written until there is room.", "`ErrorQuotaExceeded`", USER, "free space in the mailbox, or raise its quota."),
    "time_zone_unknown": SubCause("the server does not know the user's time zone", (s.NOT_SYNCING, s.SYNCING, s.INTERNAL_SERVER_ERROR), "Events in this zone are refused, or written in UTC and shown shifted by daylight saving.", "`ErrorTimeZone`, `ErrorCalendarInvalidTimeZone`, GetServerTimeZones without it", CRM, "give the user a zone that Exchange knows (an IANA name such as Europe/Berlin); install the server's time zone updates."),
    "sync_state_refused": SubCause("the server does not know the sync state any more", (s.NOT_SYNCING, s.SYNCING), "The mailbox was moved or restored. The next cycle reads everything again and matches by stamp and UID.", "`ErrorInvalidSyncStateData`", NOBODY, "nothing: the next cycle mends it."),
    # ── the entries
    "corrupt_items": SubCause("items are damaged", (s.SYNCING, s.INVALID_FOLDER), "Single items cannot be read or converted; the others are kept in step.", "`ErrorItemCorrupt`, `ErrorCorruptData`, an end before the start", USER, "open and save the item in Outlook, or remove it; then syncops retry."),
    "entries_refused": SubCause("single entries are refused", (s.SYNCING,), "The server or the CRM refused them four times: they are set aside with their code; the others are kept in step.", "`syncops status` lists them", SUPPORT, "act on the code, then syncops retry KEY."),
    # ── our own side
    "deletion_brake": SubCause("the cycle would delete more than it may unasked", (s.NOT_SYNCING,), "More than a fifth of the links (and more than five) would go: often a mailbox that was emptied or a type that was switched off.", "\"would remove N entries and may remove M unasked\"", CRM, "look at syncops sync --account ACCOUNT --dry-run; if it is meant, syncops sync --account ACCOUNT --allow-deletions N."),
    "stale_success": SubCause("no cycle has succeeded for too long", (s.NOT_SYNCING,), "Nothing says that it fails, and nothing says that it works: the scheduler does not run, or the account is held up. A change must arrive within 45 minutes.", "the last success is over 45 minutes ago", SUPPORT, "syncops sync --account ACCOUNT; then look at what should run it (syncops schedule, the worker)."),
    "never_run": SubCause("no cycle has run yet", (s.UNATTEMPTED,), "The account was added, or its host was changed, and waits for its first cycle (half an hour at most).", "no run in the record", SUPPORT, "syncops sync --pending."),
    "nothing_to_sync": SubCause("there is nothing to keep in step", (s.UNATTEMPTED,), "The cycle ran and found no entry on either side: no activity of a chosen type, an empty calendar.", "a success, and no link", NOBODY, "nothing; check the host's activity types if something should be there."),
    "switched_off": SubCause("the process is switched off for the account", (s.NOT_ENABLED,), "Sync Calendar or Send Email is not ticked.", "the account's settings", CRM, "syncops account enable ACCOUNT."),
    "host_retired": SubCause("the host is retired", (s.NOT_ENABLED,), "All accounts of a retired host rest.", "the host's settings", CRM, "syncops host restore HOST."),
    "defect": SubCause("a fault of syncops", (s.NOT_SYNCING,), "The cycle ended in something that nobody foresaw.", "\"a fault of syncops\"", SUPPORT, "report it with the words of the sub-cause; the next cycle tries again, and nothing is made twice."),
    "unknown": SubCause("a failure that has no entry here", (s.NOT_SYNCING, s.FORBIDDEN, s.UNAUTHORIZED, s.INVALID_FOLDER, s.INTERNAL_SERVER_ERROR), "Its code stands as the server wrote it: search for it.", "the code, verbatim", SUPPORT, "capture it (syncops capture ACCOUNT) and look the code up in Microsoft's list of response codes."),
}  # fmt: skip
"""By key; the order is that of the way to the mailbox."""

_BY_CODE = {
    "DNS": "name_unknown",
    "TCP": "not_reachable",
    "NTLM": "sign_in_method_refused",
    "not signed in": "not_signed_in",
    "another mailbox": "not_signed_in",
    "no JSON": "directory_away",
    "sign-in address unreachable": "directory_away",
    "unknown tenant": "directory_refuses",
    "token expired": "clock_off",
    "unauthorized_client": "app_refused",
    "consent_required": "consent_missing",
    "ErrorAccountDisabled": "account_locked",
    "ErrorPasswordExpired": "password_expired",
    "ErrorPasswordChangeRequired": "password_expired",
    "ErrorTokenSerializationDenied": "impersonation_missing",
    "ErrorInvalidExchangeImpersonationHeaderData": "no_mailbox",
    "ErrorNonPrimarySmtpAddress": "alias_address",
    "ErrorMissingEmailAddress": "no_mailbox",
    "ErrorInvalidLicense": "unlicensed",
    "ErrorInvalidServerVersion": "wrong_version",
    "ErrorIncorrectSchemaVersion": "wrong_version",
    "ErrorInvalidSchemaVersionForMailboxVersion": "wrong_version",
    "ErrorWrongServerVersion": "wrong_version",
    "ErrorWrongServerVersionDelegate": "wrong_version",
    "ErrorInternalServerError": "server_error",
    "ErrorInternalServerTransientError": "server_error",
    "SOAP:Server": "server_error",
    "ErrorTimeoutExpired": "server_error",
    "ErrorQuotaExceeded": "mailbox_full",
    "ErrorTimeZone": "time_zone_unknown",
    "ErrorCalendarInvalidTimeZone": "time_zone_unknown",
    "ErrorInvalidSyncStateData": "sync_state_refused",
    "ErrorItemCorrupt": "corrupt_items",
    "ErrorCorruptData": "corrupt_items",
    **dict.fromkeys(("ErrorNonExistentMailbox", "ErrorCannotFindUser", "ErrorMailboxHoldNotFound"), "no_mailbox"),
    **dict.fromkeys(
        ("ErrorAccessDenied", "ErrorFolderNotFound", "ErrorItemNotFound", "ErrorSyncFolderNotFound", "ErrorParentFolderNotFound", "ErrorManagedFolderNotFound"),
        "folder_closed",
    ),
    **dict.fromkeys(("ErrorCreateItemAccessDenied", "ErrorDelegateMissingConfiguration"), "rights_missing"),
    "ErrorSendAsDenied": "send_as_missing",
    **dict.fromkeys(
        ("ErrorInvalidPropertyRequest", "ErrorItemPropertyRequestFailed", "ErrorFolderPropertRequestFailed", "ErrorFolderPropertyRequestFailed"),
        "wrong_folder",
    ),
    **dict.fromkeys(
        (
            "ErrorADUnavailable", "ErrorADOperation", "ErrorConnectionFailed", "ErrorMailboxStoreUnavailable", "ErrorMailboxMoveInProgress",
            "ErrorMailboxFailover", "ErrorInsufficientResources", "ErrorNotEnoughMemory", "ErrorProxyRequestProcessingFailed",
            "ErrorProxyServiceDiscoveryFailed", "ErrorProxiedSubscriptionCallFailure", "ErrorNoRespondingCASInDestinationSite",
            "ErrorNoPublicFolderReplicaAvailable",
        ),
        "backend_away",
    ),
}  # fmt: skip

_OF_SECRET = {"7000222": "secret_expired", "7000215": "secret_wrong"}
_OF_AADSTS = {
    **_OF_SECRET,
    **dict.fromkeys(("50053", "50057"), "account_locked"),
    "50055": "password_expired",
    **dict.fromkeys(("65001", "65004", "90094", "650056", "650057"), "consent_missing"),
    **dict.fromkeys(("700016", "7000112"), "app_refused"),
    **dict.fromkeys(("50105", "53000", "53001", "53003", "530032", "530035"), "policy_of_directory"),
    "50126": "wrong_password",
}
_IMPERSONATION = frozenset({"ErrorImpersonateUserDenied", "ErrorImpersonationDenied", "ErrorImpersonationFailed"})
_BUSY = frozenset(
    {"ErrorServerBusy", "ErrorExceededConnectionCount", "ErrorTooManyObjectsOpened", "ErrorExceededSubscriptionCount", "ErrorExceededFindCountLimit",
     "HTTP 429", "HTTP 503"}
)  # fmt: skip


def named(step: str, host: str, account: str) -> str:
    """A next step with the host's and the account's names in the place of HOST and ACCOUNT."""
    names = {"HOST": shlex.quote(host), "ACCOUNT": account}
    return re.sub(r"\b(HOST|ACCOUNT)\b", lambda found: names[found.group()], step)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside a failure: of the host, of the other accounts, of the directory, and the day."""

    auth: str = ""
    access: str = ""
    is_online: bool = False
    others_work: bool = False
    directory_knows: bool = False
    secret_looks_like_an_id: bool = False
    today: date | None = None


def of_failure(code: str, message: str, error: str = "", about: Circumstances | None = None) -> str:
    """The key of the sub-cause that a failure means. ``error`` is its class in `ops_lib.errors`; a failure without any entry is ``unknown``."""
    about = about or Circumstances()
    found = _of_failure(code, message, error, about)
    is_over = about.today is not None and about.today >= EWS_ENDS and about.is_online
    return (
        "ews_retired"
        if is_over and found in ("forbidden", "ews_disabled", "ews_blocked_by_policy", "not_ews")
        else found
    )


def _of_failure(code: str, message: str, error: str, about: Circumstances) -> str:
    if code == "HTTP 403":
        return _of_403(message)
    if code == "HTTP 401":
        return _of_401(message)
    if code.startswith("AADSTS"):
        return _of_directory(code.removeprefix("AADSTS"), code)
    if code in _IMPERSONATION:
        is_user = about.auth in ("oauth-code", "oauth-device", "basic", "ntlm")
        if about.is_online and is_user:
            return "impersonation_withdrawn"
        return "out_of_scope" if about.others_work else "impersonation_missing"
    if code in _BUSY or error == "ServerBusy":
        return "throttled_account" if about.access == "delegate" else "throttled_mailbox"
    if code in ("ErrorNonExistentMailbox", "ErrorCannotFindUser") and about.directory_knows:
        return "mailbox_elsewhere"
    if code in _BY_CODE:
        return _BY_CODE[code]
    if sign_in_errors.of_code(code) is not None:
        return "sign_in_over" if sign_in_errors.needs_sign_in(code) else "directory_refuses"
    if code.startswith("TLS"):
        return "certificate_refused" if NOT_TRUSTED in message else "not_reachable"
    return _of_class(code, message, error)


def _of_403(message: str) -> str:
    if "EWS is disabled" in message:
        return "ews_disabled"
    return "ews_blocked_by_policy" if "EWS is blocked" in message else "forbidden"


def _of_401(message: str) -> str:
    if "locked out" in message and "not locked out" not in message:
        return "account_locked"
    if "does not take" in message:
        return "sign_in_method_refused"
    return "token_refused" if "token" in message else "wrong_password"


def _of_directory(number: str, code: str) -> str:
    known = _OF_AADSTS.get(number)
    if known is not None:
        return known
    return "sign_in_over" if sign_in_errors.needs_sign_in(code) else "directory_refuses"


def _of_class(code: str, message: str, error: str) -> str:
    """By the kind of failure, where the code does not say."""
    if error == "TooManyDeletions":
        return "deletion_brake"
    if error == "Defect":
        return "defect"
    if error == "ServerFailed" and "the directory" in message:
        return "directory_away"
    if "web page" in message:
        return "page_in_the_way"
    if error == "WrongUrl":
        return "not_ews"
    if "name is not known" in message:
        return "name_unknown"
    if error == "Unreachable":
        return "not_reachable"
    if error in ("AnswerLost", "TimeoutError"):
        return "answer_lost"
    if "front end says" in message:
        return "front_end_error"
    if error == "ServerFailed" and code.startswith("HTTP 5"):
        return "server_error"
    if error in ("InputError", "WorkspaceError"):
        return "secret_missing"
    return "unknown"
