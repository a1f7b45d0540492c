"""What a salesperson, their CRM, their server and their workers may do to each other, in any order: the rules of the state machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ops_lib.database.engine import Database
from ops_lib.errors import ItemRefused, MailboxError, ServerBusy, ServerFailed
from ops_lib.model import Activity, ActivityStatus, AllDay, Item, ItemType, Kind, Timed, When
from tests.support.memory_mailbox import lost
from tests.support.workers import Life, outlive_leases
from tests.sync.desk import at, days
from tests.sync.diary import BUSY, CRM, OUTLOOK, number_of, numbered
from tests.sync.office import Office

SLOTS = st.builds(at, st.integers(-1, 20), st.integers(0, 23), st.sampled_from([0.5, 1.0, 30.0]))
DATES = st.builds(days, st.integers(-1, 20), st.integers(1, 2))
TIMES = st.one_of(SLOTS, DATES)
WORDS = st.sampled_from(["Tour", "Lunch", "Call back", "Über-Größe 🏡", "a\tb  c", "x" * 300, ""])
PLACES = st.sampled_from(["", "Lobby", "Room 2"])
PICK = st.integers(0, 1_000)
CALLS = st.sampled_from(["changes", "view", "expand", "read", "create", "update", "delete", "find_stamps", "*"])
READS = st.sampled_from(["changes", "view", "read", "find_stamps"])
SERIES = st.tuples(st.integers(-3, 10), st.sampled_from([8, 9.5, 23]), st.sampled_from([1, 2, 7]), st.integers(1, 5))
"""First day, hour, days between, how many."""

PASSING: list[Callable[[], MailboxError]] = [
    lost,
    lambda: ServerFailed("it failed inside", response_code="ErrorInternalServerError"),
    lambda: ServerBusy("busy", response_code="ErrorServerBusy"),
]
REFUSED = ItemRefused("the item is corrupt", response_code="ErrorItemCorrupt")


MEANWHILE: dict[str, Callable[[Any, int, str, Timed], None]] = {
    "crm_adds": lambda machine, pick, words, when: machine.crm_adds(words, when, "Tour"),
    "crm_deletes": lambda machine, pick, words, when: machine.crm_deletes(pick),
    "crm_cancels": lambda machine, pick, words, when: machine.crm_sets_status(pick, ActivityStatus.CANCELLED),
    "crm_moves": lambda machine, pick, words, when: machine.crm_moves(pick, when),
    "crm_reschedules": lambda machine, pick, words, when: machine.crm_reschedules(pick, when),
    "crm_retitles": lambda machine, pick, words, when: machine.crm_retitles(pick, words),
    "crm_writes_notes": lambda machine, pick, words, when: machine.crm_writes_notes_and_place(pick, words, "Lobby"),
    "outlook_copies": lambda machine, pick, words, when: machine.outlook_copies(pick, words),
    "outlook_deletes": lambda machine, pick, words, when: machine.outlook_deletes(pick),
    "outlook_moves": lambda machine, pick, words, when: machine.outlook_moves(pick, when),
    "outlook_retitles": lambda machine, pick, words, when: machine.outlook_retitles(pick, words),
    "the_mailbox_moves": lambda machine, pick, words, when: machine.the_mailbox_moves(),
}
"""What people do while a worker is at the account."""


def starts_of(series: tuple[int, float, int, int]) -> list[Any]:
    first, hour, step, count = series
    return [at(first + step * number, hour).start for number in range(count)]


class TwoSides(RuleBasedStateMachine):
    """The rules. Whoever runs them says on which database and against which Outlook: `make_office`."""

    office: Office
    steps: int = 0
    """How many rules were played, in all examples together."""
    lets_occurrences_cross: bool = True
    """Whether the server lets an occurrence move past its neighbours. Exchange refuses that, and the entry is set aside with its reason."""

    def make_office(self, **settings: Any) -> Office:
        raise NotImplementedError

    def close_office(self) -> None:
        """Called when an example ends."""

    @initialize(
        conflict=st.sampled_from(["latest", "crm", "exchange"]),
        reschedule=st.sampled_from(["replace", "update"]),
        time_zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
        is_microsoft=st.booleans(),
    )
    def start(self, conflict: str, reschedule: str, time_zone: str, is_microsoft: bool) -> None:
        self.office = self.make_office(conflict=conflict, reschedule=reschedule, time_zone=time_zone)
        self.become(is_microsoft)
        for hour in (9, 15):
            self.crm_adds("Tour", at(1, hour), "Tour")
            self.outlook_adds("Lunch", at(2, hour), "Lobby")
        self.crm_adds("Call", days(2), "Home Visit")
        self.outlook_adds_a_series("Weekly", (1, 9.5, 7, 3))

    def become(self, is_microsoft: bool) -> None:
        """The server is Exchange, or one that shows no occurrences, checks no change keys and refuses no sync state."""
        outlook = self.office.outlook
        outlook.expands = outlook.checks_change_keys = outlook.refuses_sync_states = is_microsoft

    @invariant()
    def counts(self) -> None:
        type(self).steps += 1

    # ── the CRM ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def activity(self, pick: int) -> Activity | None:
        """Something that stands in the CRM, also what has left the window."""
        activities = self.office.activities()
        return activities[pick % len(activities)] if activities else None

    def movable(self, pick: int) -> Activity | None:
        activity = self.activity(pick)
        is_of_series = activity is not None and number_of(activity.description) in self.office.diary.series
        return None if is_of_series and not self.lets_occurrences_cross else activity

    def in_crm(self, activity: Activity, *, removes: bool = False) -> None:
        self.office.diary.note(CRM, number_of(activity.description), self.office.calendar(), removes=removes)

    @rule(words=WORDS, when=TIMES, type_name=st.sampled_from(["Tour", "Tour", "Home Visit", "Call Out"]))
    def crm_adds(self, words: str, when: When, type_name: str) -> None:
        number = self.office.diary.new(CRM)
        self.office.add(numbered(number, words), when, type_name=type_name, notes="note " + words)
        self.office.diary.note(CRM, number, self.office.calendar())

    @rule(pick=PICK, words=WORDS)
    def crm_retitles(self, pick: int, words: str) -> None:
        if (activity := self.activity(pick)) is not None:
            number = number_of(activity.description)
            title = words if number == BUSY else numbered(number, words)
            self.office.edit(activity.activity_id, description=title)
            self.in_crm(activity)

    @rule(pick=PICK, words=WORDS, place=PLACES)
    def crm_writes_notes_and_place(self, pick: int, words: str, place: str) -> None:
        activity = self.activity(pick)
        if activity is not None and number_of(activity.description) in self.office.diary.born_in_crm:
            self.office.edit(activity.activity_id, notes=words + " again", location=place)
            self.in_crm(activity)

    @rule(pick=PICK, when=TIMES)
    def crm_moves(self, pick: int, when: When) -> None:
        if (activity := self.movable(pick)) is not None:
            self.office.edit(activity.activity_id, when=when)
            self.in_crm(activity)

    @rule(pick=PICK, when=TIMES)
    def crm_reschedules(self, pick: int, when: When) -> None:
        if (activity := self.movable(pick)) is not None:
            self.office.move(activity.activity_id, when)
            self.in_crm(activity)

    @rule(pick=PICK, status=st.sampled_from(list(ActivityStatus)))
    def crm_sets_status(self, pick: int, status: ActivityStatus) -> None:
        if (activity := self.activity(pick)) is not None:
            self.office.edit(activity.activity_id, status=status)
            self.in_crm(activity, removes=status is ActivityStatus.CANCELLED)

    @rule(pick=PICK, type_name=st.sampled_from(["Tour", "Home Visit", "Call Out"]))
    def crm_changes_type(self, pick: int, type_name: str) -> None:
        if (activity := self.activity(pick)) is not None:
            self.office.edit(activity.activity_id, type_name=type_name)
            self.in_crm(activity)

    @rule(pick=PICK)
    def crm_deletes(self, pick: int) -> None:
        if (activity := self.activity(pick)) is not None:
            self.office.remove(activity.activity_id)
            self.in_crm(activity, removes=True)

    # ── Outlook ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def item(self, pick: int, *kinds: Kind) -> Item | None:
        """Something that the user takes up. A double of ours, or what a new item of ours replaces, may be still to be removed then."""
        every = list(self.office.outlook.every())
        items = [item for item in every if item.kind in (kinds or tuple(Kind))]
        if not items:
            return None
        chosen, diary = items[pick % len(items)], self.office.diary
        number = number_of(chosen.subject)
        if number in diary.born_in_crm - diary.series and sum(number_of(i.subject) == number for i in every) > 1:
            diary.doubled.add(number)
        return chosen

    def master(self, pick: int) -> Item | None:
        masters = [item for item in self.office.outlook.items.values() if item.item_type is ItemType.MASTER]
        return masters[pick % len(masters)] if masters else None

    def in_outlook(self, item: Item, *, removes: bool = False) -> None:
        self.office.diary.note(OUTLOOK, number_of(item.subject), self.office.calendar(), removes=removes)

    @rule(words=WORDS, when=TIMES, place=PLACES)
    def outlook_adds(self, words: str, when: When, place: str) -> None:
        number = self.office.diary.new(OUTLOOK)
        self.office.outlook.add(numbered(number, words), when, body="text", location=place)
        self.office.diary.note(OUTLOOK, number, self.office.calendar())

    @rule(pick=PICK, words=WORDS)
    def outlook_retitles(self, pick: int, words: str) -> None:
        if (item := self.item(pick)) is not None:
            self.office.outlook.edit(item.item_id, subject=numbered(number_of(item.subject), words))
            self.in_outlook(item)

    @rule(pick=PICK, when=SLOTS)
    def outlook_moves(self, pick: int, when: Timed) -> None:
        if (item := self.item(pick, Kind.EVENT)) is not None:
            self.office.outlook.edit(item.item_id, when=when)
            self.in_outlook(item)

    @rule(pick=PICK, place=PLACES)
    def outlook_changes_place(self, pick: int, place: str) -> None:
        if (item := self.item(pick, Kind.EVENT)) is not None:
            self.office.outlook.edit(item.item_id, location=place)
            self.in_outlook(item)

    @rule(pick=PICK)
    def outlook_writes_a_body(self, pick: int) -> None:
        """Around the block where it is ours, in its place where it is the user's own."""
        item = self.item(pick, Kind.EVENT)
        if item is not None and item.item_type is ItemType.SINGLE:
            number, text = number_of(item.subject), f"mine {self.office.keys}"
            self.office.keys += 1
            body = f"{item.body or ''}<p>{text}</p>" if number in self.office.diary.born_in_crm else text
            self.office.outlook.edit(item.item_id, body=body)
            if number in self.office.diary.doubled:  # the one that is written into may be on its way to Deleted Items
                self.office.diary.written.pop(number, None)
            else:
                self.office.diary.written[number] = text
            self.in_outlook(item)

    @rule(pick=PICK, when=DATES)
    def outlook_makes_it_all_day(self, pick: int, when: AllDay) -> None:
        if (item := self.item(pick)) is not None:
            when = AllDay(when.start, when.start + timedelta(days=1)) if item.kind is Kind.TASK else when
            self.office.outlook.edit(item.item_id, when=when)
            self.in_outlook(item)

    @rule(pick=PICK)
    def outlook_ticks_off(self, pick: int) -> None:
        if (item := self.item(pick, Kind.TASK)) is not None:
            self.office.outlook.edit(item.item_id, is_complete=not item.is_complete)
            self.in_outlook(item)

    @rule(pick=PICK)
    def outlook_deletes(self, pick: int) -> None:
        if (item := self.item(pick)) is not None:
            self.office.outlook.remove(item.item_id)
            self.in_outlook(item, removes=True)

    @rule(pick=PICK)
    def the_organizer_cancels(self, pick: int) -> None:
        if (item := self.item(pick, Kind.EVENT)) is not None:
            self.office.outlook.edit(item.item_id, is_cancelled=True)
            self.in_outlook(item, removes=True)

    @rule(pick=PICK, words=WORDS)
    def outlook_copies(self, pick: int, words: str) -> None:
        item = self.item(pick, Kind.EVENT)
        if item is not None and item.item_type is ItemType.SINGLE and not item.is_cancelled:
            number = self.office.diary.new(OUTLOOK)
            copy = self.office.outlook.copy(item.item_id, timedelta(hours=1))
            self.office.outlook.edit(copy, subject=numbered(number, words), body="text")
            self.office.diary.note(OUTLOOK, number, self.office.calendar())
            # Should its original be deleted before the next cycle, the copy is what the original moved to: it gets what the CRM edits.
            self.office.diary.touched[CRM].add(number)

    @rule(pick=PICK, private=st.booleans())
    def outlook_makes_private(self, pick: int, private: bool) -> None:
        item, diary = self.item(pick, Kind.EVENT), self.office.diary
        # Of a series that began as the CRM's own event, one activity is the CRM's and the others are Outlook's: told elsewhere.
        if item is not None and number_of(item.subject) not in diary.born_in_crm & diary.series:
            self.office.outlook.edit(item.item_id, is_private=private)
            self.in_outlook(item)

    # ── series ───────────────────────────────────────────────────────────────────────────────────────────────────────
    @rule(words=WORDS, series=SERIES)
    def outlook_adds_a_series(self, words: str, series: tuple[int, float, int, int]) -> None:
        number = self.office.diary.new(OUTLOOK)
        self.office.diary.series.add(number)
        self.office.outlook.add_series(numbered(number, words), starts_of(series))
        self.office.diary.note(OUTLOOK, number, self.office.calendar())

    @rule(pick=PICK, series=SERIES)
    def outlook_changes_a_pattern(self, pick: int, series: tuple[int, float, int, int]) -> None:
        if (master := self.master(pick)) is not None:
            self.office.outlook.set_pattern(master.item_id, starts_of(series))
            self.in_outlook(master, removes=True)

    @rule(pick=PICK, hours=st.sampled_from([-5, -1, 2, 7]))
    def outlook_moves_a_series(self, pick: int, hours: int) -> None:
        if (master := self.master(pick)) is not None:
            originals = [o.original_start for o in self.office.outlook.occurrences[master.item_id]]
            starts = [start + timedelta(hours=hours) for start in originals if start is not None]
            if starts:
                self.office.outlook.set_pattern(master.item_id, starts)
                self.in_outlook(master)

    @rule(pick=PICK, words=WORDS)
    def outlook_retitles_a_series(self, pick: int, words: str) -> None:
        if (master := self.master(pick)) is not None:
            self.office.outlook.edit(master.item_id, subject=numbered(number_of(master.subject), words))
            self.in_outlook(master)

    @rule(pick=PICK)
    def outlook_deletes_a_series(self, pick: int) -> None:
        if (master := self.master(pick)) is not None:
            self.office.outlook.remove(master.item_id)
            self.in_outlook(master, removes=True)

    @rule(pick=PICK)
    def the_organizer_cancels_a_series(self, pick: int) -> None:
        if (master := self.master(pick)) is not None:
            self.office.outlook.edit(master.item_id, is_cancelled=True)
            self.in_outlook(master, removes=True)

    @rule(pick=PICK, series=SERIES)
    def outlook_makes_a_series_of_a_single(self, pick: int, series: tuple[int, float, int, int]) -> None:
        item = self.item(pick, Kind.EVENT)
        is_secret = item is not None and item.is_private and number_of(item.subject) in self.office.diary.born_in_crm
        if item is not None and item.item_type is ItemType.SINGLE and isinstance(item.when, Timed) and not is_secret:
            self.office.diary.series.add(number_of(item.subject))
            step, count = series[2:]
            starts = [item.when.start + timedelta(days=step * number) for number in range(count)]
            self.office.outlook.set_pattern(item.item_id, starts, item.when.end - item.when.start)
            self.in_outlook(item)

    @rule(pick=PICK)
    def outlook_makes_a_single_of_a_series(self, pick: int) -> None:
        if (master := self.master(pick)) is not None:
            self.office.outlook.make_single(master.item_id)
            self.in_outlook(master, removes=True)

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────
    @rule(call=CALLS, error=st.sampled_from(PASSING), when=st.sampled_from(["before", "after", "late", "twice"]))
    def an_answer_is_lost(self, call: str, error: Callable[[], MailboxError], when: str) -> None:
        if len(self.office.outlook.failures) < 3:
            if when in ("late", "twice") and call != "create":
                when = "after"
            self.office.outlook.fail(call, error() if when == "before" else lost(), when)

    @rule(call=CALLS.filter(lambda call: call != "*"), error=st.sampled_from([*PASSING[1:], lambda: REFUSED]))
    def an_item_is_refused(self, call: str, error: Callable[[], MailboxError]) -> None:
        if len(self.office.outlook.refusals) < 3:
            self.office.outlook.refusals.append((call, error()))

    @rule(pick=PICK)
    def an_item_is_poison(self, pick: int) -> None:
        """One entry that every request about it fails for, until somebody mends it."""
        if self.office.diary.count and len(self.office.outlook.poison) < 2:
            self.office.outlook.poison[f"#{pick % self.office.diary.count + 1} "] = REFUSED

    @rule(twice=st.booleans())
    def creates_are_carried_out_twice(self, twice: bool) -> None:
        self.office.outlook.doubles_creates = twice

    @rule()
    def late_items_arrive(self) -> None:
        self.office.outlook.arrive()

    @rule()
    def sync_states_are_forgotten(self) -> None:
        self.office.outlook.forget_sync_states()

    @rule(kind=st.sampled_from(Kind))
    def a_sync_state_is_silently_forgotten(self, kind: Kind) -> None:
        self.office.outlook.forgets_once.add(kind)

    @rule()
    def the_mailbox_moves(self) -> None:
        self.office.outlook.renumber()

    # ── settings and time ────────────────────────────────────────────────────────────────────────────────────────────
    @rule(is_on=st.booleans())
    def the_account_is_switched(self, is_on: bool) -> None:
        self.office.is_on = is_on

    @rule(types=st.sampled_from([("Tour",), ("Home Visit",), ("Tour", "Home Visit")]), tasks=st.booleans())
    def the_host_is_edited(self, types: tuple[str, ...], tasks: bool) -> None:
        self.office.types, self.office.all_day_tasks = types, tasks
        self.office.tell_settings()
        # What is deleted in Outlook while it is out of scope ends its link; back in scope the activity goes out anew.
        self.office.diary.touched[CRM] |= self.office.diary.born_in_crm

    @rule(minutes=st.integers(1, 600))
    def time_passes(self, minutes: int) -> None:
        self.office.now += timedelta(minutes=minutes)

    @rule(count=st.integers(1, 3))
    def days_pass(self, count: int) -> None:
        self.office.now += timedelta(days=count)

    @rule()
    def the_clock_jumps_back(self) -> None:
        self.office.now -= timedelta(hours=1)

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @rule()
    def a_cycle(self) -> None:
        self.office.work()

    @rule(steps=st.integers(0, 60))
    def a_cycle_is_killed(self, steps: int) -> None:
        self.office.work(Life(steps))

    @rule(call=READS)
    def another_worker_comes(self, call: str) -> None:
        """While one worker is at the account, another finds it busy and goes away."""
        found: list[Any] = []
        self.office.work(Life(at={f"before {call}": lambda: found.append(self.office.work())}))
        assert [result.outcome for result in found if result is not None] in ([], ["busy"], ["off"])

    @rule(call=CALLS, moment=st.sampled_from(["before", "after"]))
    def a_worker_is_overtaken(self, call: str, moment: str) -> None:
        """One that slept so long that it lost the account wakes after another has worked."""

        def meanwhile() -> None:
            outlive_leases(self.office.database)
            self.office.work()

        self.office.work(Life(at={f"{moment} {call}": meanwhile}))

    @rule(
        edit=st.sampled_from(sorted(MEANWHILE)),
        pick=PICK,
        words=WORDS,
        when=SLOTS,
        call=CALLS,
        moment=st.sampled_from(["before", "after"]),
    )
    def somebody_edits_during_a_cycle(
        self, edit: str, pick: int, words: str, when: Timed, call: str, moment: str
    ) -> None:
        """What the worker has read is no longer so when it writes."""

        def meanwhile() -> None:
            with self.office.undisturbed():
                MEANWHILE[edit](self, pick, words, when)

        self.office.work(Life(at={f"{moment} {call}": meanwhile}))

    @precondition(lambda self: sum(1 for _ in self.office.outlook.every()) < 60)
    @rule()
    def all_is_quiet(self) -> None:
        """Nothing goes wrong any more, nobody edits anything, everything is switched on: what must hold holds."""
        self.office.outlook.heal()
        self.office.is_on, self.office.types, self.office.all_day_tasks = True, ("Tour", "Home Visit"), True
        self.office.tell_settings()
        self.office.now += timedelta(minutes=5)
        self.office.wait_out_pauses()
        self.office.settle()

    def teardown(self) -> None:
        if hasattr(self, "office"):
            try:
                self.all_is_quiet()
            finally:
                self.close_office()


def fresh(database: Database) -> None:
    """Empty every table, so that the next example begins where the first did."""
    from ops_lib.database.tables import metadata

    with database.begin() as c:
        if database.is_sqlite:
            for table in reversed(metadata.sorted_tables):
                c.execute(table.delete())
        else:
            names = ", ".join(table.name for table in metadata.sorted_tables)
            c.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
