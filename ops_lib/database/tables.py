"""Every table of a workspace: the CRM's own, hosts and accounts, and the ledger of what both sides agreed.

One schema, because the CRM's row and the ledger's link are written in one transaction (`SYNC.md`, "An entry without a link").
Migrations are in `migrations/`; `tests/database` fails when the two part.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows itself only for INTEGER


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept in UTC; SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs a zone: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# ── the CRM ──────────────────────────────────────────────────────────────────────────────────────────────────────────
communities = Table(
    "communities",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("time_zone", String(64), nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("email", String(320), nullable=False, unique=True),  # lower case
    Column("name", String(200), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("is_admin", Boolean, nullable=False, default=False),
    # Every change of one of the user's activities takes the next number here, holding the row until it commits:
    # numbers become visible in their order, so that nobody who reads "changed since N" misses a slow transaction.
    Column("change_version", BigInteger, nullable=False, default=0, server_default=text("0")),
)

user_communities = Table(
    "user_communities",
    metadata,
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True),
    Column("community_id", Id, ForeignKey("communities.id"), primary_key=True),
)

individuals = Table(
    "individuals",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("email", String(320), nullable=False, default=""),
    Column("community_id", Id, ForeignKey("communities.id")),
)

activity_types = Table(
    "activity_types",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("master_type", String(64), nullable=False, default=""),
    Column("is_face_to_face", Boolean, nullable=False, default=False),
)

activities = Table(
    "activities",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("type_id", Id, ForeignKey("activity_types.id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("description", Text, nullable=False),
    Column("is_all_day", Boolean, nullable=False),
    Column("starts_at", Instant),  # timed only
    Column("ends_at", Instant),
    Column("first_day", Date),  # all-day only; end_day is exclusive
    Column("end_day", Date),
    Column("location", Text, nullable=False, default=""),
    Column("notes", Text, nullable=False, default=""),
    Column("individual_id", Id, ForeignKey("individuals.id")),
    Column("origin", String(16), nullable=False),
    Column("is_private", Boolean, nullable=False, default=False),
    Column("organizer", Text, nullable=False, default=""),
    Column("attendees", JSON, nullable=False, default=list),
    Column("rescheduled_from", Id, ForeignKey("activities.id")),
    Column("creation_key", String(255), unique=True),  # whoever creates with the same key twice gets the first one
    # Random, made with the activity: an id that is given again after the database was restored names another activity.
    Column("token", String(16), nullable=False, server_default=text("''")),
    Column("updated_at", Instant, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("is_deleted", Boolean, nullable=False, default=False),
    Index("ix_activities_user_version", "user_id", "version"),
    Index("ix_activities_user_starts", "user_id", "starts_at"),
    Index("ix_activities_rescheduled_from", "rescheduled_from"),
)

templates = Table(
    "templates",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("is_html", Boolean, nullable=False, default=False, server_default=text("false")),
)

# ── hosts and accounts ───────────────────────────────────────────────────────────────────────────────────────────────
hosts = Table(
    "hosts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("protocol", String(16), nullable=False, default="ews"),
    Column("url", Text, nullable=False),
    Column("auth", String(16), nullable=False),
    Column("access", String(16), nullable=False),
    Column("version", String(16), nullable=False),
    Column("community_id", Id, ForeignKey("communities.id")),  # NULL: all communities
    Column("service_user", String(320), nullable=False, default=""),
    Column("secret", Text, nullable=False, default=""),  # a reference: env:NAME, file:PATH or vault:ID
    Column("tenant_id", String(64), nullable=False, default=""),
    Column("client_id", String(64), nullable=False, default=""),
    Column("authority", Text, nullable=False, default=""),
    Column("inbound_type_id", Id, ForeignKey("activity_types.id"), nullable=False),
    Column("all_day_tasks", Boolean, nullable=False, default=False),
    Column("send_email", Boolean, nullable=False, default=False),
    Column("ca_bundle", Text, nullable=False, default=""),
    Column("reschedule", String(16), nullable=False, default="replace"),
    Column("conflict", String(16), nullable=False, default="latest"),
    Column(
        "redirect_uri", Text, nullable=False, default="", server_default=text("''")
    ),  # as the app registration has it
)

host_activity_types = Table(
    "host_activity_types",
    metadata,
    Column("host_id", Id, ForeignKey("hosts.id"), primary_key=True),
    Column("type_id", Id, ForeignKey("activity_types.id"), primary_key=True),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("host_id", Id, ForeignKey("hosts.id"), nullable=False),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("mailbox", String(320), nullable=False),  # lower case
    Column("is_impersonation_account", Boolean, nullable=False, default=False),
    Column("calendar", Boolean, nullable=False, default=True),
    Column("send_email", Boolean, nullable=False, default=False),
    Column("all_day_tasks", Boolean, nullable=False, default=False),
    Column("secret", Text, nullable=False, default=""),
    UniqueConstraint("host_id", "mailbox"),
)

# ── signing in ───────────────────────────────────────────────────────────────────────────────────────────────────────
# Tokens and passwords are in the vault, never here.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),  # whose sign-in it is
    Column("state", String(16), nullable=False),  # needed, signed-in, refused
    Column("since", Instant, nullable=False),
    Column("asked_at", Instant),  # an administrator asked for it (the key icon)
    Column("response_code", String(128), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("fix", Text, nullable=False, default=""),
)

banner_closings = Table(
    "banner_closings",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True),  # who closed it
    Column("closed_at", Instant, nullable=False),
)

password_tries = Table(
    "password_tries",
    metadata,
    Column("who", Text, primary_key=True),  # server and user name
    Column("salt", String(64), nullable=False, default=""),
    Column("digest", String(128), nullable=False, default=""),  # of the password that was refused; empty: none was
    Column("refused_at", Instant),
    Column("response_code", String(128), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("trying", String(200), nullable=False, default=""),  # the worker that tries a password now
    Column("trying_until", Instant),  # by the real clock
)

# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────
account_statuses = Table(
    "account_statuses",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("process", String(16), primary_key=True),
    Column("status", String(64), nullable=False),
    Column("sub_cause", Text, nullable=False, default=""),
    Column("since", Instant, nullable=False),
    Column("last_success", Instant),
    Column("attempts", Integer, nullable=False, default=0),
    Column("response_code", String(128), nullable=False, default=""),
    Column("evidence", Text, nullable=False, default=""),
)

leases = Table(
    "leases",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("token", BigInteger, nullable=False),  # grows with every new owner
    Column("until", Instant, nullable=False),  # by the real clock, whatever the workspace's says
)

reading_positions = Table(
    "reading_positions",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("crm_version", BigInteger, nullable=False, default=0),
    Column("calendar_state", Text, nullable=False, default=""),
    Column("tasks_state", Text, nullable=False, default=""),
    Column("window_start", Instant),  # of the days that were read
    Column("window_end", Instant),
    Column("policy", Text, nullable=False, default=""),  # what was in scope when it was read
    Column("last_link_id", BigInteger, nullable=False, default=0),  # later links are younger than the sync states
)

series = Table(
    "series",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("item_id", Text, primary_key=True),  # of the master
    Column("uid", Text, nullable=False),
    Column("change_key", Text, nullable=False),
)

LINK_STANDS = "state IN ('active', 'resting')"
"""Of links that stand there is one per activity and one per item. A query uses the indexes below only with this very condition."""

links = Table(
    "links",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("account_id", Id, ForeignKey("accounts.id"), nullable=False),
    Column("activity_id", Id, ForeignKey("activities.id"), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("item_id", Text, nullable=False),
    Column("change_key", Text, nullable=False),
    Column("uid", Text, nullable=False, default=""),
    Column("original_start", Instant),  # occurrences of a series only
    Column("stamp", String(255), nullable=False, default=""),
    Column("agreed", JSON, nullable=False),
    Column("crm_version", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Index("ix_links_account_state", "account_id", "state"),
    Index(
        "ux_links_activity",
        "activity_id",
        unique=True,
        sqlite_where=text(LINK_STANDS),
        postgresql_where=text(LINK_STANDS),
    ),
    Index(
        "ux_links_item",
        "account_id",
        "item_id",
        unique=True,
        sqlite_where=text(LINK_STANDS),
        postgresql_where=text(LINK_STANDS),
    ),
)

intents = Table(
    "intents",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("account_id", Id, ForeignKey("accounts.id"), nullable=False),
    Column("activity_id", Id, ForeignKey("activities.id"), nullable=False),
    Column("stamp", String(255), nullable=False, unique=True),
    Column("entry", JSON, nullable=False),  # what it was made with
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(
        "ux_intents_open",
        "activity_id",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

retries = Table(
    "retries",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("key", Text, primary_key=True),  # "activity:ID" or "item:ID": what to look at again
    Column("kind", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("is_set_aside", Boolean, nullable=False, default=False),
    Column("response_code", String(128), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("failed_at", Instant),  # when it was tried last; NULL: not yet, or it was not its own failure
    # What was tried: another version of either side is a fresh try.
    Column("crm_version", BigInteger, nullable=False, default=0, server_default=text("0")),
    Column("change_key", Text, nullable=False, default="", server_default=text("''")),
)

pauses = Table(
    "pauses",
    metadata,
    Column("key", Text, primary_key=True),  # account:ID, credential:HOST:USER or server:URL: whose matter it is
    Column("since", Instant, nullable=False),
    Column(
        "until", Instant, nullable=False
    ),  # nobody asks before; a past moment: one account asks first, then the others
    Column("tries", Integer, nullable=False),  # runs that found it so
    Column("account_id", Id, nullable=False),  # whose request showed it
    Column("response_code", String(128), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
)

# Of each account the latest requests that wrote or failed, some hundreds: older ones are removed.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False),
    Column("account_id", Id, ForeignKey("accounts.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("operation", String(64), nullable=False),
    Column("number", Integer, nullable=False),  # the tries of this request, from 1
    Column("waited_seconds", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("http_status", Integer, nullable=False),  # 0: no answer
    Column("response_code", String(128), nullable=False, default=""),
    Column("request_id", String(64), nullable=False, default=""),  # the server's own name of it
    Column("error", String(64), nullable=False, default=""),  # the kind of failure; empty: none
    Index("ix_attempts_account", "account_id", "id"),
    Index("ix_attempts_run", "run_id", "account_id"),
)

# ── email ────────────────────────────────────────────────────────────────────────────────────────────────────────────
outgoing_messages = Table(
    "outgoing_messages",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("key", String(32), nullable=False, unique=True),  # random; on the message as its stamp
    Column("asked_as", String(255), unique=True),  # whoever asks with the same words twice gets the first one
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("account_id", Id, ForeignKey("accounts.id")),  # NULL: sending is not enabled, it is only on record
    Column("state", String(16), nullable=False),  # open, sending, accepted, refused, recorded
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),  # the body as text: what the note holds
    Column("html", Text, nullable=False, default=""),  # the formatted body; empty: plain text
    Column("recipients", JSON, nullable=False),  # [{"individual", "name", "address"}]
    Column("item_id", Text, nullable=False, default=""),  # of the draft that is sent
    Column("change_key", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("response_code", String(128), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("fix", Text, nullable=False, default=""),
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),  # not to be tried before
    Column("settled_at", Instant),
    Column("worker", String(200), nullable=False, default=""),  # who is at it now
    Column("claimed_until", Instant),  # by the real clock
    Index("ix_outgoing_messages_account_state", "account_id", "state"),
)

outgoing_files = Table(
    "outgoing_files",
    metadata,
    Column("message_id", Id, ForeignKey("outgoing_messages.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("content_type", String(127), nullable=False),
    Column("content_id", Text, nullable=False, default=""),  # of a picture in the body
    Column("content", LargeBinary, nullable=False),  # until the message is settled
)

properties = Table(
    "properties",
    metadata,
    Column("name", String(64), primary_key=True),  # crm_id: whose stamps are ours
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", String(16), nullable=False, default="running"),
)

run_accounts = Table(
    "run_accounts",
    metadata,
    Column("run_id", Id, ForeignKey("runs.id"), primary_key=True),
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("outcome", String(16), nullable=False),  # ok, failed, blocked, busy
    Column(
        "counts", JSON, nullable=False
    ),  # {"created": {"crm": 0, "exchange": 0}, "updated": …, "deleted": …, "skipped": 0, "failed": 0}
    Column("requests", Integer, nullable=False, default=0),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("status", String(64), nullable=False, default=""),
    Column("response_code", String(128), nullable=False, default=""),
    Column("message", Text, nullable=False, default=""),
)

run_items = Table(
    "run_items",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False),
    Column("account_id", Id, ForeignKey("accounts.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("action", String(16), nullable=False),
    Column("side", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("key", Text, nullable=False),
    Column("activity_id", Id),
    Column("item_id", Text, nullable=False, default=""),
    Column("outcome", String(16), nullable=False),  # done, skipped, failed, unread
    Column("reason", Text, nullable=False, default=""),
    Column("response_code", String(128), nullable=False, default=""),
    Column("before", JSON),
    Column("after", JSON),
    Column("loser", JSON),  # the version that a conflict set aside
    Index("ix_run_items_account_run", "account_id", "run_id"),
    Index("ix_run_items_activity", "activity_id"),
)
