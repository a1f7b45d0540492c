"""The SOAP face of the sandbox: Exchange Web Services over an ``Organisation``.

``EwsFace.read`` says what a request is and refuses what no server would look at; ``EwsFace.answer`` does it. HTTP, sign-in and
faults to order are the server's business (``ops_lib.sandbox.endpoint``).

Where things are: ``envelope`` and ``grammar`` read requests; ``registry`` knows the operations, one module per group
(``folders``, ``read_items``, ``find_items``, ``sync``, ``write_items``, ``move_items``, ``lookups``, ``attached``, ``sending``,
``subscriptions``, with ``streaming`` for the answer that goes on);
``responses`` and ``invitations`` are what clients send about meetings (``ops_lib.sandbox.meetings`` does it); ``properties`` is the one table
of what items and folders have; ``shapes``, ``computed``, ``codecs``, ``extended`` write it.
"""

from __future__ import annotations

from ops_lib.sandbox import ids, post
from ops_lib.sandbox.operations import EWS_OPERATIONS
from ops_lib.sandbox.store import Organisation

from . import (
    attached,
    envelope,
    find_items,
    folders,
    grammar,
    lookups,
    move_items,
    read_items,
    sending,
    subscriptions,
    sync,
    write_items,
)
from .envelope import Reply, SoapRequest
from .errors import SoapFault
from .manners import EXCHANGE, Manners
from .registry import OPERATIONS
from .session import Caller, Session
from .streaming import Stream
from .xml import T

__all__ = ["Caller", "EwsFace", "Reply", "SoapFault", "SoapRequest", "Stream"]

_MODULES = (
    attached,
    find_items,
    folders,
    lookups,
    move_items,
    read_items,
    sending,
    subscriptions,
    sync,
    write_items,
)  # importing them registers them

#: the version of the schema that brought an operation, where it was not the first
_SINCE = {
    "ConvertId": "Exchange2007_SP1",
    "EmptyFolder": "Exchange2010_SP1",
    "GetServerTimeZones": "Exchange2010",
    "GetStreamingEvents": "Exchange2010_SP1",
    "GetUserConfiguration": "Exchange2010",
}


class EwsFace:
    """EWS over an organisation. Safe to call from several threads: one request is done at a time.

    ``manners``: in what the server is unlike Exchange.
    """

    def __init__(self, organisation: Organisation, manners: Manners = EXCHANGE) -> None:
        self.organisation = organisation
        self.manners = manners

    def read(self, body: bytes) -> SoapRequest:
        """Read a request; nothing is done yet.

        Raises:
            SoapFault: it is malformed, breaks the schema, or is no operation of this server.
        """
        request = envelope.parse(body)
        if request.operation not in OPERATIONS:
            if (
                request.operation.removesuffix("Request") in EWS_OPERATIONS
            ):  # clients take ErrorInvalidRequest for a wrong version and repeat the request
                raise SoapFault(
                    "ErrorInvalidOperation", f"This server does not have the operation {request.operation}."
                )
            raise SoapFault("ErrorInvalidRequest")
        if request.older_than(_SINCE.get(request.operation, "Exchange2007")):
            raise SoapFault("ErrorIncorrectSchemaVersion")
        newest = self.organisation.administration.newest_version
        if newest and request.newer_than(newest):
            raise SoapFault("ErrorInvalidServerVersion")
        grammar.check(request)
        request.mailbox = self._mailbox(request)
        return request

    def answer(self, request: SoapRequest, caller: Caller) -> Reply:
        """Do what the request asks, as this caller, and say how it went."""
        with self.organisation.lock:
            if self.organisation.waiting:
                post.release(self.organisation)
            try:
                if self.organisation.primary(request.mailbox) in self.organisation.administration.unlicensed:
                    raise SoapFault("ErrorInvalidLicense")
                session = Session(self.organisation, caller, request, self.manners)
                messages = OPERATIONS[request.operation](session)
            except SoapFault as problem:
                return envelope.fault(problem)
        return envelope.answer(request.operation, self.manners.finish(messages))

    def stream(self, request: SoapRequest, caller: Caller) -> Stream:
        """Begin what a GetStreamingEvents listens to. **Raises** SoapFault."""
        with self.organisation.lock:
            return Stream(Session(self.organisation, caller, request, self.manners))

    def _mailbox(self, request: SoapRequest) -> str:
        """The address of the mailbox the request is about, "" where it does not say."""
        if request.impersonated is not None:
            return request.impersonated[1].lower()
        for element in request.root.iter(f"{T}DistinguishedFolderId", f"{T}FolderId", f"{T}ItemId"):
            if element.tag == f"{T}DistinguishedFolderId":
                address = element.findtext(f"{T}Mailbox/{T}EmailAddress")
                if address:
                    return str(address).strip().lower()
                continue
            try:
                named = ids.decode_id(element.get("Id") or "")
            except ids.MalformedId:
                continue
            mailbox = self.organisation.mailbox_by_guid(named.mailbox)
            if mailbox is not None:
                return mailbox.address
        return ""
