"""Accounts from a table: how it is read, what each row would do, and all of it or nothing (A10)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.access.importing import Preview, apply, preview
from ops_lib.crm.directory import Directory
from ops_lib.database.engine import Database
from ops_lib.errors import InputError

EXCHANGE = HostInput(
    url="https://mail.example.test/EWS/Exchange.asmx", auth="ntlm", service_user="svc", secret="env:SVC"
)
NAMES = ("alice", "bob", "carol", "dora", "jürgen")


@pytest.fixture
def connection(sqlite_database: Database) -> Iterator[Connection]:
    with sqlite_database.begin() as connection:
        directory = Directory(connection)
        directory.add_usual_activity_types()
        directory.add_community("Maple Court", time_zone="UTC")
        for name in NAMES:
            directory.add_user(f"{name}@example.test", name.title())
        Hosts(connection).add("exchange", EXCHANGE)
        yield connection


def judged(connection: Connection, text: str, **options: object) -> Preview:
    return preview(connection, text.encode(), subject="users.csv", **options)  # type: ignore[arg-type]


def faults(found: Preview) -> list[tuple[int, str, str]]:
    return [(row.line, row.field, row.reason) for row in found.rows if row.outcome == "fault"]


TABLE = "user;mailbox;calendar\r\nalice@example.test;a.example@example.test;yes\r\njürgen@example.test;;no\r\n"


@pytest.mark.req("A10")
@pytest.mark.parametrize(
    ("data", "encoding", "separator"),
    [
        (TABLE.encode(), "utf-8", ";"),
        (TABLE.encode("utf-8-sig"), "utf-8-sig", ";"),
        (TABLE.encode("utf-16"), "utf-16", ";"),
        (TABLE.encode("utf-16-le"), "utf-16-le", ";"),
        (TABLE.encode("utf-16-be"), "utf-16-be", ";"),
        (TABLE.encode("cp1252"), "cp1252", ";"),
        (TABLE.replace(";", "\t").encode("utf-16"), "utf-16", "tab"),
        (TABLE.replace(";", ",").replace("\r\n", "\n").encode(), "utf-8", ","),
        (TABLE.replace("\r\n", "\r").encode(), "utf-8", ";"),
        (b"sep=|\r\n" + TABLE.replace(";", "|").encode(), "utf-8", "|"),
        (('"sep=;"\r\n' + TABLE).encode("utf-8-sig"), "utf-8-sig", ";"),
    ],
    ids=str,
)
def test_a_table_is_read_however_it_was_saved(
    connection: Connection, data: bytes, encoding: str, separator: str
) -> None:
    """UTF-8 with and without a mark, UTF-16, Windows-1252, every separator of spreadsheets, every line end: the same two accounts."""
    found = preview(connection, data, subject="users.csv")
    assert (found.sheet.encoding, found.sheet.separator) == (encoding, separator)
    assert [(row.user, row.mailbox, row.host, row.outcome) for row in found.rows] == [
        ("alice@example.test", "a.example@example.test", "exchange", "new"),
        ("jürgen@example.test", "jürgen@example.test", "exchange", "new"),
    ]
    apply(connection, found)
    assert [(each.mailbox, each.calendar) for each in Accounts(connection).accounts()] == [
        ("a.example@example.test", True),
        ("jürgen@example.test", False),
    ]


@pytest.mark.req("A10")
@pytest.mark.parametrize(
    "header",
    [
        "user,mailbox,host,send email,all-day tasks,impersonation",
        "CRM User,E-Mail,Server,Sync Email?,Sync of All Day Tasks,Impersonation User?",
        "User_Email,Primary SMTP Address,Exchange Host,send_email,all_day_tasks,IMPERSONATION",
    ],
)
def test_columns_are_known_by_several_names(connection: Connection, header: str) -> None:
    """The form's own words, ours, and what spreadsheets make of them mean the same columns."""
    found = judged(connection, f"{header}\nAlice@Example.test,A@Example.test,Exchange,x,wahr,0\n")
    apply(connection, found)
    (account,) = Accounts(connection).accounts()
    assert (account.user_email, account.mailbox) == ("alice@example.test", "a@example.test")
    assert (account.send_email, account.all_day_tasks, account.is_impersonation_account) == (True, True, False)


@pytest.mark.req("A10")
def test_one_column_of_addresses_is_enough(connection: Connection) -> None:
    """A list of addresses under "Email" names the users; columns that mean nothing are named."""
    found = judged(connection, "Name,Email,Department\nAlice,alice@example.test,Sales\n\nBob,bob@example.test,\n,,\n")
    assert [(row.line, row.user, row.outcome) for row in found.rows] == [
        (2, "alice@example.test", "new"),
        (4, "bob@example.test", "new"),
    ]
    assert found.sheet.ignored == ("Name", "Department")


@pytest.mark.req("A10")
@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ("zoe@example.test,,,,", "user", "there is no CRM user zoe@example.test"),
        ("Alice,,,,", "user", "alice is no email address"),
        (",,,yes,", "user", "an empty text is no email address"),
        ("alice@example.test,alice,,,", "mailbox", "alice is no email address"),
        ("alice@example.test,,mars,,", "host", "there is no host mars (known: exchange, maple)"),
        ("alice@example.test,,maple,,", "host", "serves Maple Court only"),
        ("alice@example.test,,,perhaps,", "calendar", "the cell is neither yes nor no"),
        ("alice@example.test,,,yes,,surplus", "", "more cells than there are columns"),
        ('"=CONCAT(A1,""@x"")",,,,', "user", "a formula, not its value"),
        ("alice@example.test,#REF!,,,", "mailbox", "could not compute this cell"),
        ("alice@example.test,bob@example.test,,,", "mailbox", "belongs to the account of bob@example.test"),
        ("bob@example.test,bob2@example.test,,,", "calendar", "kept in step through bob@example.test"),
        ("alice@example.test,,,,hunter2", "password", "a password stands in the file"),
    ],
)
def test_each_fault_is_named(connection: Connection, row: str, field: str, words: str) -> None:
    """A row's fault has its line, its field, the reason and the mend, and the good rows beside it are not written."""
    Hosts(connection).add("maple", HostInput(**{**_fields(EXCHANGE), "community": "Maple Court"}))
    Accounts(connection).add("bob@example.test", host="exchange")
    found = judged(
        connection, f"user,mailbox,host,calendar,password\ncarol@example.test,,exchange,,\n{row}\n", host="exchange"
    )
    (fault,) = faults(found)
    assert fault[:2] == (3, field)
    assert words in fault[2]
    assert next(each for each in found.rows if each.line == 3).fix
    assert "hunter2" not in repr(found.rows)
    with pytest.raises(InputError, match=r"1 of 2 rows .*line 3.*nothing was written"):
        apply(connection, found)
    assert [each.mailbox for each in Accounts(connection).accounts()] == ["bob@example.test"]


@pytest.mark.req("A10")
def test_rows_are_judged_by_those_before_them(connection: Connection) -> None:
    """The same account twice, one mailbox for two users in another spelling, a second calendar of a user: each names the other."""
    found = judged(
        connection,
        "user,mailbox\nalice@example.test,\nALICE@example.test,alice@example.test\nbob@example.test,Alice@Example.test\n"
        "carol@example.test,c1@example.test\ncarol@example.test,c2@example.test\n",
    )
    assert [(line, field) for line, field, _ in faults(found)] == [(3, "mailbox"), (4, "mailbox"), (6, "calendar")]
    reasons = [reason for _, _, reason in faults(found)]
    assert "line 2 is the same account" in reasons[0]
    assert "belongs to the account of alice@example.test" in reasons[1]
    assert "c1@example.test on host exchange" in reasons[2]


@pytest.mark.req("A10")
def test_importing_again_changes_nothing(connection: Connection) -> None:
    """What exists already is said, also where it is set otherwise; nothing is added or changed."""
    table = "user,send email\nalice@example.test,yes\nbob@example.test,no\n"
    apply(connection, judged(connection, table))
    before = Accounts(connection).accounts()
    again = judged(connection, table.replace("bob@example.test,no", "bob@example.test,yes"))
    assert [(row.outcome, row.reason) for row in again.rows] == [
        ("exists", ""),
        ("exists", "it stays as it is: send email no"),
    ]
    apply(connection, again)
    assert Accounts(connection).accounts() == before


@pytest.mark.req("A10")
def test_only_the_asked_for_rows_need_be_good(connection: Connection) -> None:
    """With chosen lines the others are not looked at; lines that are not there are refused."""
    table = "user\nalice@example.test\nzoe@example.test\nbob@example.test\ncarol@example.test\n"
    found = judged(connection, table, lines=[range(2, 3), range(4, 6)])
    apply(connection, found)
    assert [each.mailbox for each in Accounts(connection).accounts()] == [
        f"{each}@example.test" for each in ("alice", "bob", "carol")
    ]
    with pytest.raises(InputError, match="no row on line 9"):
        judged(connection, table, lines=[range(9, 10)])


def test_lines_are_counted_as_an_editor_does(connection: Connection) -> None:
    """Quoted cells over several lines, a line that names the separator, empty lines: a fault's line is where its row begins."""
    found = judged(connection, 'sep=,\nuser,note\n"alice@example.test","two\nlines"\n\nzoe@example.test,\n')
    assert [(row.line, row.outcome) for row in found.rows] == [(3, "new"), (6, "fault")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"user\n", "no row below its first line"),
        (b"alice@example.test\nbob@example.test\n", "looks like data"),
        (b"name,department\nAlice,Sales\n", "names no column that is known"),
        (b"host\nexchange\n", "no column says who"),
        (b"user,sync calender\na@b,yes\n", "sync calender is not known; is it calendar"),
        (b"user,crm user\na@b,a@b\n", "two columns say user, the second is crm user"),
        (b'user\n"alice@example.test\nbob@example.test\n', "line 2 cannot be read"),
        (b"PK\x03\x04rest", "a spreadsheet, not a CSV"),
        (b"user\n\x81\x8d\x00\x00\n", "no text in UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(connection: Connection, data: bytes, words: str) -> None:
    """A file that cannot be meant is refused as a whole, with the reason and the mend."""
    with pytest.raises(InputError, match=words) as caught:
        preview(connection, data, subject="users.csv")
    assert caught.value.fix


def test_passwords_are_named_by_where_they_lie(connection: Connection, tmp_path: Path) -> None:
    """Where every account signs in itself, a row names a variable or a file; a file that others may read is its fault."""
    Hosts(connection).edit("exchange", HostInput(access="direct", secret="", service_user=""))
    file = tmp_path / "password"
    file.write_text("hunter2")
    file.chmod(0o644)
    table = f"user,password env,password file\nalice@example.test,ALICE_PASSWORD,\nbob@example.test,,{file}\ncarol@example.test,,\n"
    found = judged(connection, table)
    assert [(line, field) for line, field, _ in faults(found)] == [(3, "password file"), (4, "password")]
    file.chmod(0o600)
    apply(connection, judged(connection, table, lines=[range(2, 4)]))
    assert [each.secret for each in Accounts(connection).accounts()] == ["env:ALICE_PASSWORD", f"file:{file}"]


@pytest.mark.req("A10")
def test_five_thousand_rows_take_a_few_statements(connection: Connection) -> None:
    """An import of 5,000 rows asks the database a handful of questions and writes once: seconds, not minutes."""
    connection.exec_driver_sql(
        "INSERT INTO users (email, name, time_zone, is_admin, change_version) "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "SELECT 'user' || i || '@example.test', 'User', 'UTC', 0, 0 FROM n"
    )
    table = "user\n" + "".join(f"user{number}@example.test\n" for number in range(1, 5001))
    statements: list[str] = []
    event.listen(connection.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    found = judged(connection, table)
    apply(connection, found)
    assert found.count("new") == 5000
    assert len(statements) <= 12
    assert judged(connection, table).count("exists") == 5000


def _fields(entered: HostInput) -> dict[str, object]:
    return {name: getattr(entered, name) for name in HostInput.__dataclass_fields__}
