"""The simulated database: what it writes, and that a million rows do not slow it."""

from __future__ import annotations

import threading
import time

import pytest

from exporter.demo.nova import Nova
from exporter.demo.stamps import Precision
from exporter.demo.table import Selection

NOW = 1_800_000_000.0


@pytest.fixture
def nova() -> Nova:
    return Nova(clock=lambda: NOW)


def test_a_new_row_was_never_updated(nova: Nova) -> None:
    row = nova.insert(status="accepted")
    assert (row.created_at, row.updated_at) == (NOW, None)


def test_a_write_stamps_and_an_equal_write_does_not(nova: Nova) -> None:
    row = nova.insert(status="accepted")
    nova.advance(row.uuid, "accepted", at=NOW + 1)
    assert nova.migration(row.uuid) == row
    nova.advance(row.uuid, "queued", at=NOW + 2)
    nova.advance(row.uuid, "queued", at=NOW + 3)
    written = nova.migration(row.uuid)
    assert written is not None
    assert (written.status, written.updated_at) == ("queued", NOW + 2)


def test_mysql_rounds_to_whole_seconds() -> None:
    nova = Nova(clock=lambda: NOW + 0.5, precision=Precision.SECONDS)
    assert nova.insert().created_at == NOW + 1


def test_a_write_to_a_deleted_servers_row_goes_on_unseen(nova: Nova) -> None:
    server = nova.boot()
    row = nova.insert(instance_uuid=server.id)
    nova.delete_server(server.id)
    assert nova.advance(row.uuid, "error") is None
    assert nova.count() == 0


def test_the_newer_of_a_cross_cell_pair_is_shown_and_the_page_is_short(nova: Nova) -> None:
    source = nova.insert(status="post-migrating", created_at=NOW, updated_at=NOW + 1)
    nova.insert(
        uuid=source.uuid, instance_uuid=source.instance_uuid, status="finished", created_at=NOW, updated_at=NOW + 2
    )
    nova.insert(status="error", created_at=NOW - 1)
    page = nova.page(Selection(), limit=2, marker=None)
    assert [row.status for row in page] == ["finished"]
    assert [row.status for row in nova.page(Selection(status="post-migrating"), limit=2, marker=None)] == [
        "post-migrating"
    ]


def test_held_keeps_the_story_still_but_not_the_answers(nova: Nova) -> None:
    played = threading.Event()

    def turn() -> None:
        with nova.turn():
            played.set()

    with nova.held():
        thread = threading.Thread(target=turn)
        thread.start()
        assert not played.wait(0.05)
        assert nova.page(Selection(), limit=1, marker=None) == []
    thread.join()
    assert played.is_set()


def test_a_filtered_page_of_many_rows_takes_milliseconds(nova: Nova) -> None:
    rows = 100_000
    nova.insert_many(
        {"status": "confirmed", "instance_uuid": f"server-{n % 5000}", "created_at": NOW - n, "updated_at": NOW - n}
        for n in range(rows)
    )
    nova.insert(status="running", created_at=NOW - rows / 2, updated_at=NOW)
    begin = time.perf_counter()
    assert len(nova.page(Selection(status="running"), limit=1000, marker=None)) == 1
    assert nova.page(Selection(status="accepted"), limit=1000, marker=None) == []
    assert len(nova.page(Selection(changes_since=NOW - 90), limit=1000, marker=None)) == 92
    assert len(nova.page(Selection(instance_uuid="server-7"), limit=1000, marker=None)) == 20
    assert len(nova.page(Selection(changes_since=NOW - rows), limit=1000, marker=None)) == 1000
    assert len(nova.page(Selection(), limit=1, marker=None)) == 1
    assert time.perf_counter() - begin < 0.25


def test_of_steps_with_one_name_the_first_ends_and_a_failure_marks_the_action(nova: Nova) -> None:
    server = nova.boot()
    request = nova.actions.start(server.id, "migrate", at=NOW - 1).request_id
    for at in (1, 2):
        nova.actions.start_event(server.id, request, "cold_migrate", host="controller-1", at=NOW + at)
    nova.actions.finish_event(server.id, request, "cold_migrate", at=NOW + 3)
    nova.actions.finish_event(server.id, request, "cold_migrate", at=NOW + 4, error="no room")
    action = nova.actions.action(server.id, request)
    assert action is not None
    assert (action.start_time, action.updated_at, action.message) == (NOW - 1, NOW + 4, "Error")
    second, first = nova.actions.events(action)
    assert (first.start_time, first.finish_time, first.result, first.details) == (NOW + 1, NOW + 4, "Error", "no room")
    assert (second.start_time, second.finish_time, second.result) == (NOW + 2, None, None)


def test_actions_outlive_their_server_until_it_is_purged(nova: Nova) -> None:
    server = nova.boot()
    action = nova.actions.start(server.id, "delete")
    nova.actions.start_event(server.id, action.request_id, "compute_terminate_instance", host="host1")
    nova.delete_server(server.id)
    assert [row.action for row in nova.actions.of_server(server.id)] == ["delete"]
    nova.purge_server(server.id)
    assert nova.actions.of_server(server.id) == []
    assert nova.actions.action(server.id, action.request_id) is None
    assert nova.actions.events(action) == []
    # What a service still writes afterwards is lost.
    nova.actions.start_event(server.id, action.request_id, "compute_resize_instance", host="host1")
    nova.actions.finish_event(server.id, action.request_id, "compute_resize_instance")
    assert nova.actions.of_server(server.id) == []
