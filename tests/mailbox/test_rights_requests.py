"""What is asked to see rights: valid by Microsoft's schema, in an order it allows, and mailing nobody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from ops_lib.mailbox.ews import folder_rights, probes, sending_probes
from ops_lib.mailbox.ews.sending_probes import Probe
from ops_lib.model import Kind

ODD = "o'brien+\"<&>@example.test"
PROBES = [Probe("AAA=", "BBB=", ODD), Probe("CCC=", "", "")]
REQUESTS: dict[str, Any] = {
    "both folders": lambda: folder_rights.folders(ODD),
    "with permissions": lambda: folder_rights.folders(ODD, (Kind.TASK,), with_permissions=True),
    "others' items": lambda: folder_rights.others_items(ODD, folder_rights.BOTH),
    "whose address": lambda: probes.whose_address(ODD),
    "drafts": lambda: sending_probes.create([ODD, "alice@example.test"], ODD, datetime(2027, 11, 23, tzinfo=UTC)),
    "send": lambda: sending_probes.send(PROBES),
    "find": sending_probes.find,
    "senders": lambda: sending_probes.senders(PROBES),
    "remove": lambda: sending_probes.remove(PROBES),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_valid(name: str, schema: etree.XMLSchema) -> None:
    """Each request validates against Microsoft's schema, whatever characters an address has."""
    assert schema.validate(REQUESTS[name]()), str(schema.error_log)


def test_a_probe_goes_to_the_service_account_alone_and_is_only_saved() -> None:
    """The drafts name one recipient, the service account, and the request that makes them sends nothing."""
    made = sending_probes.create(
        ["alice@example.test", "bob@example.test"], "svc@example.test", datetime(2027, 11, 23, tzinfo=UTC)
    )
    assert made.get("MessageDisposition") == "SaveOnly"
    recipients = [each.findtext(".//{*}EmailAddress") for each in made.iter("{*}ToRecipients")]
    assert recipients == ["svc@example.test"] * 2
    assert not list(made.iter("{*}CcRecipients", "{*}BccRecipients"))
    deferred = [
        each.findtext("{*}Value") for each in made.iter("{*}ExtendedProperty") if each[0].get("PropertyTag") == "0x3FEF"
    ]
    assert deferred == ["2027-11-23T00:00:00Z"] * 2
