"""README.rst and ARCHITECTURE.rst say what is so: every claim has a test, every program runs."""

from __future__ import annotations

import ast
import inspect
import re
import signal
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest
import requests

from faye_sync import Client, EventSourceClient, FayeSyncError, WebSocket, errors
from tests.support.peer import Peer
from tests.support.program import Program
from tests.support.servers import ROOT, SERVERS, Server, serve
from tests.test_layers import FLOORS, PATHS, place_of

FIRST = (ROOT / "README.rst").read_text(encoding="utf-8")
# With the pages that go on where it ends, each behind a title, which ends the section before.
PAGES = ("guide", "promises", "differences")
README = "\nNext page\n---------\n".join(
    [FIRST, *((ROOT / "docs" / f"{page}.rst").read_text(encoding="utf-8") for page in PAGES)]
)
ARCHITECTURE = (ROOT / "ARCHITECTURE.rst").read_text(encoding="utf-8")

# Each item of "What you can rely on", word for word, and what shows it: tests, or "make target".
CLAIMS = {
    "Every server of ``docs/servers.rst`` that works does so in all three styles, under TLS as "
    "without.": (
        "tests/servers/test_every_server.py::test_text_and_binary_messages_are_echoed",
        "tests/servers/test_every_server.py::test_the_close_frame_is_the_last_octet_and_the_end_follows_though_the_peer_stays",
        "tests/test_servers_page.py::test_a_table_of_the_page_is_the_one_of_the_tests",
    ),
    "Frames that arrive together with the request are kept, in every style, on every server but "
    "uWSGI.": (
        "tests/servers/test_volume.py::test_frames_in_the_same_segment_as_the_request_are_answered",
        "tests/servers/test_volume.py::test_a_frame_that_the_request_cut_in_two_is_answered",
        "tests/transport/test_hijack.py::test_octets_that_the_server_had_read_are_kept",
    ),
    "A handler that raises leaves the peer a close code of 1011, and one traceback in the log.": (
        "tests/servers/test_failures.py::test_a_handler_that_raises_closes_with_1011_and_one_traceback",
        "tests/test_reading.py::test_an_exception_in_a_started_function_is_logged_and_closes_with_1011",
    ),
    "No octet of HTTP reaches the peer after the 101, however the handler ends.": (
        "tests/servers/test_failures.py::test_a_handler_that_raises_closes_with_1011_and_one_traceback",
        "tests/servers/test_failures.py::test_a_handler_that_returns_closes_with_1000",
        "tests/servers/test_failures.py::test_a_view_that_forgets_to_return_the_connection_closes_it_and_says_so",
        "tests/test_websocket.py::test_the_server_cannot_reach_the_peer_after_accept",
    ),
    "50 detached connections keep no server from answering pages, not one that has a single "
    "thread.": (
        "tests/servers/test_every_server.py::test_detached_connections_take_no_worker_from_pages",
    ),
    "One gunicorn gthread worker with two threads holds 500 connections and still answers pages.": (
        "tests/servers/test_scale.py::test_two_worker_threads_hold_500_connections_and_answer_pages",
    ),
    "A gunicorn worker that stops, reloads or is recycled closes with 1001 within 3 seconds, in "
    "the middle of a call too; other servers do so at Ctrl-C, and Werkzeug's reloader at a "
    "reload.": (
        "tests/servers/test_shutdown.py::test_every_end_of_a_gunicorn_worker_is_told_with_1001",
        "tests/servers/test_shutdown.py::test_every_end_of_a_process_is_told_with_1001",
        "tests/servers/test_shutdown.py::test_a_reload_of_werkzeug_is_told_with_1001",
    ),
    "A worker that gunicorn would recycle serves on while connections linger.": (
        "tests/servers/test_shutdown.py::test_a_worker_that_has_served_its_requests_goes_on_while_connections_linger",
        "tests/servers/test_shutdown.py::test_lingering_ends_when_its_seconds_are_over_and_at_a_stop",
    ),
    "A handler that forks and an application that was preloaded lose no connection.": (
        "tests/servers/test_fork.py::test_a_connection_goes_on_while_a_forked_child_lives_and_after_its_end",
        "tests/servers/test_fork.py::test_a_child_that_uses_the_connection_and_exits_leaves_the_peer_alone",
        "tests/servers/test_fork.py::test_an_application_that_was_preloaded_serves_and_says_goodbye",
    ),
    "Connections with listeners that say nothing share a few threads, 500 of them no more than 16.": (
        "tests/servers/test_scale.py::test_connections_that_say_nothing_share_a_few_threads",
        "tests/test_parking.py::test_many_that_are_silent_hold_few_threads",
    ),
    "A connection has one thread that reads, and none beside it; one housekeeping thread per "
    "process, or greenlet per gevent hub, serves them all.": (
        "tests/servers/test_scale.py::test_two_worker_threads_hold_500_connections_and_answer_pages",
        "tests/servers/test_scale.py::test_one_gevent_hub_holds_500_connections",
    ),
    "A send, a ping and a close each have a deadline, which is met to within a second or a fifth "
    "of it.": (
        "tests/servers/test_deadlines.py::test_a_send_to_a_peer_that_reads_nothing_ends_at_its_deadline",
        "tests/servers/test_deadlines.py::test_a_peer_that_answers_no_ping_is_dropped_at_the_pong_deadline",
        "tests/servers/test_deadlines.py::test_a_peer_that_ignores_close_is_dropped_at_the_close_deadline",
    ),
    "A peer that stops reading holds up no other connection, no broadcast, and no ``close()``.": (
        "tests/servers/test_deadlines.py::test_a_peer_that_stops_reading_leaves_the_others_untouched",
        "tests/servers/test_deadlines.py::test_broadcast_to_a_room_with_a_stalled_peer_does_not_wait",
        "tests/servers/test_deadlines.py::test_close_and_ping_return_at_once_while_a_send_is_stalled",
    ),
    "Pings are answered and a close is noticed while the handler is busy or only sends.": (
        "tests/servers/test_deadlines.py::test_a_handler_that_only_sends_answers_pings",
        "tests/servers/test_deadlines.py::test_a_handler_that_only_sends_notices_a_close",
        "tests/test_reading.py::test_pause_hands_out_nothing_until_resume_and_answers_pings_meanwhile",
    ),
    "A peer that answers is not dropped because the handler is busy.": (
        "tests/servers/test_deadlines.py::test_a_busy_listener_does_not_get_a_live_peer_killed",
    ),
    "Both peers may send 8 MB before either of them reads.": (
        "tests/servers/test_volume.py::test_both_peers_send_8_mb_before_either_reads",
    ),
    "Pages of another origin cannot connect unless you allow them.": (
        "tests/test_origin.py::test_without_a_setting_no_other_site_may_connect",
        "tests/test_origin.py::test_a_list_is_compared_by_scheme_host_and_port",
        "tests/servers/test_refusals.py::test_a_bad_request_is_answered_with_the_cure",
    ),
    "Text that is not UTF-8 is refused at the octet that shows it, within fragments too.": (
        "tests/driver/test_hybi_receiving.py::test_a_failure_is_told_at_the_octet_that_shows_it",
        "tests/driver/test_utf8.py::test_bad_text_is_refused_at_the_octet_that_shows_it",
        "tests/driver/test_utf8.py::test_the_piece_that_makes_text_hopeless_is_the_one_refused",
    ),
    "A message over ``max_length`` is refused by its header, before its payload is read.": (
        "tests/driver/test_hybi_receiving.py::test_a_message_one_octet_over_the_limit_is_refused_by_its_header",
        "tests/driver/test_hybi_receiving.py::test_the_greatest_length_is_refused_without_reserving_memory",
    ),
    "A request that opens no WebSocket is answered with 400, 403 or 426 and a text that says the "
    "cure.": ("tests/servers/test_refusals.py::test_a_bad_request_is_answered_with_the_cure",),
    "Behind nginx the documented configuration works, and without it the client is told what to "
    "set.": (
        "tests/servers/test_nginx.py::test_a_message_comes_back_in_every_style",
        "tests/servers/test_nginx.py::test_the_426_behind_a_bare_proxy_pass_says_what_to_set_and_that_works",
        "tests/servers/test_nginx.py::test_a_directive_that_is_missing_is_named_and_mends_it",
        "tests/test_servers_page.py::test_the_configuration_of_nginx_is_the_one_that_is_tested",
    ),
    "A server that keeps the socket is named by ``HijackError``, with what to run instead.": (
        "tests/servers/test_no_socket.py::test_a_valid_request_raises_an_error_that_names_server_and_cure",
        "tests/servers/test_no_socket.py::test_what_the_error_tells_of_mod_wsgi_works",
    ),
    "Flask, Django behind its middlewares, Bottle, Falcon and Pyramid serve all three styles.": (
        "tests/frameworks/test_every_framework.py::test_messages_come_back_and_no_octet_of_http_comes_after_the_close",
        "tests/frameworks/test_every_framework.py::test_a_handler_that_raises_closes_with_1011_and_one_traceback",
        "tests/frameworks/test_django.py::test_the_101_has_no_header_of_a_middleware",
    ),
    "Messages are neither lost, doubled, reordered nor torn, whatever many threads do at once.": (
        "tests/stress/test_stress.py::test_nothing_is_lost_doubled_reordered_torn_or_stuck",
        "tests/servers/test_volume.py::test_eight_threads_send_at_once_through_a_small_buffer",
    ),
    "Under TLS one thread may send while another receives: every octet arrives as it was sent.": (
        "tests/stress/test_tls.py::test_under_tls_every_octet_is_right_in_both_directions_at_once",
    ),
    "Under gevent the hub goes on: floods, stalled peers and messages of 8 MB do not hold it up.": (
        "tests/stress/test_hub.py::test_hub_ticks_while_ten_thousand_small_messages_come_at_once",
        "tests/stress/test_hub.py::test_hub_ticks_while_sends_wait_for_peers_that_read_nothing",
        "tests/stress/test_hub.py::test_hub_ticks_while_eight_megabytes_go_both_ways",
    ),
    "The clients websockets, websocket-client and npm's ws agree with every server in every "
    "style.": (
        "tests/interop/test_websockets.py::test_a_message_comes_back_as_it_was_sent",
        "tests/interop/test_websocket_client.py::test_a_message_comes_back_as_it_was_sent",
        "tests/interop/test_node_ws.py::test_messages_come_back_as_they_were_sent",
    ),
    "The client talks to websockets, npm's ws and gunicorn, with TLS and without it.": (
        "tests/client/test_peers.py::test_a_message_comes_back_as_it_was_sent",
        "tests/client/test_peers.py::test_a_message_comes_back_to_a_listener",
        "tests/client/test_peers.py::test_eight_megabytes_go_both_ways_at_once",
    ),
    "Opening ends by ``open_timeout``, whatever falls silent, drips or floods on the way.": (
        "tests/client/test_hostile_slow.py::test_a_server_that_falls_silent_is_given_up_at_the_deadline",
        "tests/client/test_hostile_slow.py::test_a_server_that_drips_its_answer_is_given_up_at_the_deadline",
        "tests/client/test_hostile_slow.py::test_a_connection_that_is_never_made_is_given_up_at_the_deadline",
        "tests/client/test_hostile_heads.py::test_a_head_without_end_is_refused_at_64_kib_with_bounded_memory",
        "tests/client/test_hostile_redirects.py::test_one_deadline_counts_for_all_hops",
        "tests/client/test_hostile_proxies.py::test_an_answer_that_drips_is_given_up_at_the_deadline",
        "tests/transport/test_addresses.py::test_a_resolver_that_hangs_is_left_alone",
    ),
    "A 101 that is not right is refused; of any other answer status, headers and 64 KiB are kept.": (
        "tests/client/test_hostile_heads.py::test_a_101_that_breaks_the_handshake_is_refused_at_once",
        "tests/client/test_hostile_refusals.py::test_any_other_status_is_refused_with_it",
        "tests/client/test_hostile_refusals.py::test_64_kib_of_a_body_are_kept_and_no_more_is_waited_for",
    ),
    "Messages that come with the 101 are delivered at once, also where the end follows them.": (
        "tests/client/test_hostile_frames.py::test_messages_glued_to_the_101_are_delivered_at_once",
        "tests/client/test_hostile_frames.py::test_a_message_glued_to_the_101_is_delivered_though_eof_follows",
    ),
    "A session of ``requests`` counts as for pages: cookies both ways, auth, certificates, hooks.": (
        "tests/client/test_session.py::test_a_login_over_https_opens_the_websocket_whose_101_sets_a_cookie_for_the_next_page",
        "tests/client/test_session.py::test_auth_of_the_session_opens_the_websocket",
        "tests/client/test_session.py::test_the_certificate_of_the_session_is_shown_to_the_server",
        "tests/client/test_session.py::test_a_hook_of_the_session_is_called_with_the_101",
        "tests/test_client_page.py::test_who_you_are_is_taken_from_the_first_that_there_is",
    ),
    "Another origin that a redirect leads to gets no credentials of the first; wss never becomes "
    "ws.": (
        "tests/client/test_hostile_redirects.py::test_another_origin_sees_nothing_that_was_for_the_first",
        "tests/client/test_hostile_redirects.py::test_a_challenge_of_another_origin_is_not_answered",
        "tests/client/test_hostile_redirects.py::test_tls_is_never_given_up",
    ),
    "A line break in what goes into a request is refused before a socket is opened.": (
        "tests/client/test_hostile_injection.py::test_a_break_of_a_line_is_refused_before_a_socket_is_opened",
        "tests/client/test_hostile_injection.py::test_a_break_of_a_line_in_the_url_is_refused_before_a_socket_is_opened",
    ),
    "HTTP, HTTPS and SOCKS proxies lead to the server; one that does not is told of in time.": (
        "tests/client/test_proxies.py::test_every_proxy_leads_to_the_server",
        "tests/client/test_hostile_proxies.py::test_any_other_status_is_a_proxy_error_with_all_that_was_said",
        "tests/client/test_hostile_proxies.py::test_a_proxy_that_falls_silent_is_given_up_at_the_deadline",
        "tests/client/test_hostile_socks.py::test_a_socks_server_that_falls_silent_is_given_up_at_the_deadline",
    ),
    "An address that is silent costs a quarter of a second where another one answers.": (
        "tests/transport/test_dial.py::test_each_silent_address_costs_a_stagger_and_one_that_refuses_nothing",
    ),
    "With ``Reconnect``, receiving goes on over connections, and a send in between arrives once.": (
        "tests/client/test_reconnect_across.py::test_receive_goes_on_with_the_next_connection_however_the_last_one_ended",
        "tests/client/test_reconnect_across.py::test_a_send_between_two_connections_waits_for_the_next_and_arrives_once",
        "tests/test_readme.py::test_the_reconnecting_program_outlives_a_reload_of_its_server",
    ),
    "Ctrl-C ends receiving, dialing and the wait for the next attempt, and tells the server 1001.": (
        "tests/client/test_interrupts.py::test_ctrl_c_while_it_is_open_ends_the_script_with_1001",
        "tests/client/test_interrupts.py::test_ctrl_c_while_it_dials_ends_the_script",
        "tests/client/test_interrupts.py::test_ctrl_c_while_it_waits_for_the_next_attempt_ends_the_script",
    ),
    "A blocking client has no thread; the one that dials again is there while there is no "
    "connection.": (
        "tests/client/test_styles.py::test_a_blocking_client_has_no_thread_of_its_own",
        "tests/client/test_reconnect_across.py::test_the_thread_that_dials_is_there_only_while_there_is_no_connection",
    ),
    "1000 connections, and hundreds that failed, leave no thread and no descriptor.": (
        "tests/client/test_leaks.py::test_a_thousand_connections_leave_no_thread_and_no_descriptor",
        "tests/client/test_leaks.py::test_connections_that_fail_leave_no_thread_and_no_descriptor",
    ),
    "Under gevent a client holds up nothing, whatever it waits for, with patching or without.": (
        "tests/client/test_gevent.py::test_the_hub_ticks_while_a_client_waits",
        "tests/client/test_gevent.py::test_the_hub_ticks_while_a_send_waits_for_a_server_that_reads_nothing",
    ),
    "Autobahn's cases 1 to 7 and 10 end with 244 OK and 3 INFORMATIONAL, on werkzeug, gunicorn "
    "gthread and gevent.pywsgi, in each of the three ways; its limits of chapter 9 end with 54 "
    "OK.": (
        "tests/conformance/test_autobahn.py::test_the_fast_set_is_passed",
        "tests/conformance/test_autobahn.py::test_all_limits_are_passed",
        "make conformance",
    ),
    "The client ends them so too, blocking and with listeners, on threads and under gevent.": (
        "tests/conformance/test_autobahn.py::test_the_fast_set_is_passed",
        "tests/conformance/test_autobahn.py::test_all_limits_are_passed",
        "make conformance",
    ),
    "Autobahn's 216 cases of compression end with OK at both ends; ``docs/conformance.rst`` has all "
    "517.": (
        "tests/conformance/test_autobahn_deflate.py::test_60_cases_are_passed_by_a_server_and_a_client",
        "tests/conformance/test_autobahn_deflate.py::test_all_216_cases_are_passed_by_a_server_and_a_client",
        "make conformance",
    ),
    "A message of 512 MiB that was packed into half a MiB ends with 1009 and takes no memory beyond "
    "``max_length``.": (
        "tests/test_bombs.py::test_a_bomb_ends_with_1009_and_little_more_memory_than_max_length",
    ),
    "One message of 2 GiB passes in parts, plain or compressed, and neither side grows by 32 MiB.": (
        "tests/stress/test_stream_volume.py::test_96_mib_pass_and_neither_side_grows_by_32_mib",
        "tests/stress/test_stream_volume.py::test_2_gib_pass_and_neither_side_grows_by_32_mib",
        "make soak",
    ),
    "Compression agrees with websockets, npm's ws, npm's faye-websocket and Chromium.": (
        "tests/interop/test_deflate_as_client.py::test_messages_of_every_size_come_back_as_they_were_sent",
        "tests/interop/test_deflate_as_server.py::test_messages_of_every_size_come_back_as_they_were_sent",
        "tests/interop/test_deflate_as_server.py::test_node_gets_back_what_it_sent",
        "tests/browser/test_deflate.py::test_messages_come_back_compressed",
    ),
    "Any text comes out of Chromium's EventSource as it was sent, but for CR, which becomes LF.": (
        "tests/browser/test_event_source.py::test_every_awkward_payload_comes_out_of_chromium_as_it_was_sent",
        "tests/test_sse.py::test_any_event_comes_back_as_it_was",
    ),
    "A stream is parsed as the standard says and as Chromium does, however it is cut.": (
        "tests/test_sse.py::test_a_stream_gives_the_events_of_the_standard",
        "tests/test_sse.py::test_cut_at_any_place_it_gives_the_same",
        "tests/browser/test_event_source.py::test_every_case_of_the_standard_gives_chromium_the_events_of_the_vectors",
    ),
    "What would break out of an event's field is refused.": (
        "tests/test_sse.py::test_what_cannot_be_carried_is_refused",
    ),
    "A stream that is dropped again and again is resumed with nothing missing and nothing twice.": (
        "tests/browser/test_event_source.py::test_a_stream_lost_again_and_again_is_resumed_with_nothing_missing_and_nothing_twice",
        "tests/browser/test_flask_events.py::test_a_drop_is_made_good_with_nothing_missing_and_nothing_twice",
    ),
    "A page of another origin reads a stream where its headers allow it, and nowhere else.": (
        "tests/browser/test_event_source.py::test_a_page_of_another_origin_reads_what_the_headers_allow",
    ),
    "``EventSourceClient`` yields each event as it comes, whatever the framing and the coding.": (
        "tests/client/test_event_source.py::test_an_event_comes_when_its_last_octet_does_whatever_the_framing",
        "tests/client/test_event_source.py::test_an_event_comes_at_once_out_of_a_coding",
    ),
    "It resumes a GET however it ended, never repeats a POST, and ends at ``close()`` at any "
    "moment.": (
        "tests/client/test_event_source_ends.py::test_a_get_is_made_again_however_it_ended",
        "tests/client/test_event_source.py::test_the_id_of_the_last_event_that_was_taken_is_resumed_after",
        "tests/client/test_event_source_ends.py::test_a_post_is_never_made_again_wherever_it_is_cut",
        "tests/client/test_event_source_close.py::test_close_on_another_thread_ends_the_iteration_at_any_moment",
    ),
    "Programs written for flask-sock run with another import, on threads and on gevent.": (
        "tests/interop/test_flask_sock.py::test_the_published_program_echoes",
        "tests/interop/test_flask_sock.py::test_a_thread_may_send_to_all_and_forgets_who_has_left",
        "tests/frameworks/test_flask_sock.py::test_the_members_of_simple_websocket_do_what_they_do_there",
    ),
    "A hundred idle views with ``release`` leave a database pool of five free.": (
        "tests/frameworks/test_flask_sock.py::test_a_hundred_idle_views_leave_a_database_pool_of_five_free",
    ),
    "Teardown functions of Flask run once, when the connection has ended, and ``g`` is there until "
    "then.": (
        "tests/frameworks/test_flask_sock.py::test_the_view_has_the_request_and_its_g_to_the_end_and_teardown_comes_then",
    ),
    "Django's views hold no database connection and no transaction while they wait.": (
        "tests/frameworks/test_django_views.py::test_no_connection_to_the_database_is_held_while_waiting_and_no_transaction",
    ),
    "A client in memory meets the forty behaviours that one of a real server does.": (
        "tests/test_testing.py::test_a_client_in_memory_meets_what_one_of_a_real_server_does",
        "tests/test_testing.py::test_there_are_forty_behaviours",
    ),
    "An hour of pings passes in a test at once.": (
        "tests/test_moved_clock.py::test_an_hour_of_pings_passes_at_once_and_drops_nobody",
    ),
    "``faye-sync check`` finds nine deployments made wrong on purpose, and names the line to "
    "change.": ("tests/cli/test_check.py::test_what_is_wrong_is_said_with_the_line_to_change",),
    "The files of ``deploy/`` pass messages, events and silence, with TLS and below a prefix.": (
        "tests/servers/test_recipes.py::test_messages_pass_both_ways_and_so_do_close_codes",
        "tests/servers/test_recipes.py::test_events_come_one_by_one",
        "tests/servers/test_recipes.py::test_a_check_finds_nothing_wrong",
    ),
    "What the tutorial says, an empty environment and Chromium do.": (
        "tests/browser/test_newcomer.py::test_readmes_first_program_is_a_chat_of_two_tabs",
        "tests/browser/test_newcomer.py::test_step_3_tells_who_said_it",
    ),
}


# --- reading the pages ----------------------------------------------------------------------------------


def section(page: str, title: str) -> str:
    """The text below a title, up to the next title of its kind."""
    found = re.search(
        rf"^{re.escape(title)}\n-+\n(.*?)(?=^[^\n]+\n---+\n|\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"no section is called {title!r}"
    return found[1]


def items(text: str) -> list[str]:
    """The items of a bullet list, each in one line."""
    found = re.findall(r"^- (.*?)(?=^- |^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return [" ".join(item.split()) for item in found]


def blocks(page: str, language: str = "python") -> list[str]:
    """The code blocks of a language, in order."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", page, re.MULTILINE)
    return [dedent(block).strip() + "\n" for block in found]


def rows(text: str) -> list[list[str]]:
    """The rows of a simple table, its header left out and continued cells joined."""
    lines = text.splitlines()
    edges = [number for number, line in enumerate(lines) if line.startswith("===")]
    columns = [match.span() for match in re.finditer("=+", lines[edges[0]])]
    found: list[list[str]] = []
    for line in lines[edges[-2] + 1 : edges[-1]]:
        cells = [line[start:end] for start, end in columns[:-1]] + [line[columns[-1][0] :]]
        if cells[0].strip():
            found.append([cell.strip() for cell in cells])
        else:
            found[-1] = [
                f"{old} {new.strip()}".strip() for old, new in zip(found[-1], cells, strict=True)
            ]
    return found


# --- claims ---------------------------------------------------------------------------------------------


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def exists(proof: str) -> bool:
    """Whether a test of that name, or a target of the Makefile, is there."""
    if proof.startswith("make "):
        target = re.escape(proof.removeprefix("make "))
        return (
            re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
            is not None
        )
    path, _, name = proof.partition("::")
    return (ROOT / path).exists() and name in names_of_tests(ROOT / path)


def test_every_claim_of_the_readme_has_a_row_and_every_row_its_claim():
    assert items(section(README, "What you can rely on")) == list(CLAIMS)


@pytest.mark.parametrize(
    "proof", sorted({proof for proofs in CLAIMS.values() for proof in proofs} | {"make demo"})
)
def test_what_shows_a_claim_is_there(proof):
    assert exists(proof)


@pytest.mark.parametrize("proof", ["make fame", "tests/test_readme.py::test_no", "tests/no.py::f"])
def test_what_is_not_there_is_noticed(proof):
    assert not exists(proof)


def test_every_command_of_make_in_the_readme_is_a_target():
    commands = set(re.findall(r"``(make \w+)``", README))
    assert commands >= {"make demo", "make test"}
    assert [command for command in commands if not exists(command)] == []


# --- tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [WebSocket, Client])
def test_the_options_and_their_defaults_are_those_of_the_code(kind):
    told = {
        name.strip("`"): eval(value.strip("`"))
        for name, value, whose, _ in rows(section(README, "Options"))
        if whose in ("both", kind.__name__)
    }
    _, *parameters = inspect.signature(kind).parameters.values()
    assert told == {parameter.name: parameter.default for parameter in parameters}


def test_the_errors_are_those_of_the_code():
    told = [name.strip("`") for name, _ in rows(section(README, "Errors"))]
    made = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, FayeSyncError)
    ]
    assert told[0] == FayeSyncError.__name__
    assert sorted(told) == sorted(made)


def test_the_picture_of_the_layers_is_that_of_the_code():
    picture = re.search(r"^::\n\n((?:    .*\n|\n)+)", section(ARCHITECTURE, "Layers"), re.MULTILINE)
    lines = [line for line in dedent(picture[1]).splitlines() if line]
    told = [set(re.split("  +", line)[0].split(", ")) for line in lines]
    there = {place_of(name) for name in PATHS}
    floors = [{name or "__init__" for name in floor if name in there} for floor in FLOORS]
    assert told == [floor for floor in reversed(floors) if floor]


def test_every_file_that_the_architecture_names_is_there():
    named = set(re.findall(r"``([\w/]+\.py)``", ARCHITECTURE))
    assert len(named) > 20
    folders = (ROOT / "faye_sync", ROOT)
    assert [name for name in named if not any((one / name).exists() for one in folders)] == []


def test_every_lock_of_the_code_is_in_the_architecture():
    made = {
        name
        for path in PATHS.values()
        for name in re.findall(r"self\.(\w+_lock)\b[^\n]* = ", path.read_text(encoding="utf-8"))
    }
    told = {name.strip("`") for name, *_ in rows(section(ARCHITECTURE, "Locks"))}
    assert told == made


# --- programs -------------------------------------------------------------------------------------------

CHAT, *OTHERS = blocks(README)
NAMES = (
    "clock",
    "start",
    "listeners",
    "attached",
    "blocking client",
    "listening client",
    "reconnecting",
    "event source",
    "event client",
)
PROGRAMS = dict(zip(NAMES, OTHERS, strict=True))


def join(server: Server, name: str) -> Peer:
    """A peer that is in the room, because it heard itself."""
    peer = Peer(server.address, "/chat")
    peer.say(f"{name} is here")
    assert peer.read() == f"{name} is here"
    return peer


def chat_over(server: Server) -> None:
    """Two peers talk to each other through the first program."""
    assert "new WebSocket(" in server.get("/").text
    with ExitStack() as stack:
        first, second = (stack.enter_context(join(server, name)) for name in ("first", "second"))
        assert first.read() == "second is here"
        first.say("hello")
        assert [first.read(), second.read()] == ["hello", "hello"]
        second.say("Grüße")
        assert [first.read(), second.read()] == ["Grüße", "Grüße"]
        assert second.close() == (1000, "")
        first.say("alone")
        assert first.read() == "alone"
        assert first.close() == (1000, "")
    assert "Traceback" not in server.log()


@pytest.fixture
def chat(tmp_path) -> Path:
    path = tmp_path / "chat.py"
    path.write_text(CHAT, encoding="utf-8")
    return path


def test_the_first_program_runs_as_it_stands(chat, monkeypatch):
    def command(app: str, fd: int) -> list[str]:
        # Werkzeug's way to hand a listening socket on, so that no port needs to be free.
        variables = ("WERKZEUG_RUN_MAIN=true", f"WERKZEUG_SERVER_FD={fd}")
        return ["env", *variables, sys.executable, app]

    monkeypatch.setitem(SERVERS, "as-it-stands", command)
    with serve("as-it-stands", str(chat), chat.parent) as server:
        chat_over(server)


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn-gthread", "gunicorn-gevent", "gevent"])
def test_the_first_program_runs_under_every_server(chat, name):
    with serve_from(chat.parent, name, "chat:app") as server:
        chat_over(server)


def serve_from(folder: Path, name: str, app: str) -> Server:
    return serve(name, app, folder, PYTHONPATH=f"{ROOT}:{folder}")


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn-gthread"])
@pytest.mark.parametrize("way", ["start", "listeners", "attached"])
def test_the_three_ways_echo(way, name, tmp_path):
    (tmp_path / "echo.py").write_text(PROGRAMS[way], encoding="utf-8")
    with serve_from(tmp_path, name, "echo:application") as server:
        with Peer(server.address, "/") as peer:
            peer.say("hello")
            assert peer.read() == "hello"
            assert peer.close() == (1000, "")
        assert "Traceback" not in server.log()


def client_of(server: Server, name: str, folder: Path) -> Program:
    """Start a client's program beside the first program's server, wherever that listens here."""
    path = folder / "client.py"
    text = PROGRAMS[name]
    assert text.count("127.0.0.1:8000") == 1
    path.write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"), encoding="utf-8")
    return Program(path, no_proxy="*")


@pytest.mark.parametrize(
    "way, said",
    [("blocking client", ["hello"]), ("listening client", ["hello", "1000 local"])],
)
def test_a_client_talks_to_the_first_program(way, said, chat):
    with (
        serve_from(chat.parent, "gunicorn-gthread", "chat:app") as server,
        client_of(server, way, chat.parent) as client,
    ):
        assert client.wait() == 0
        assert client.rest() == said


def test_the_reconnecting_program_outlives_a_reload_of_its_server(chat):
    with (
        serve_from(chat.parent, "gunicorn-gthread", "chat:app") as server,
        client_of(server, "reconnecting", chat.parent) as client,
    ):
        assert client.read() == "here I am"
        server.send_signal(signal.SIGHUP)
        assert re.match(r"again in \d\.\d s: .* 1001 ", client.read())
        client.read_until("here I am")
        client.send_signal(signal.SIGINT)
        assert client.wait() != 0


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn-gthread", "gunicorn-gevent"])
def test_the_clock_sends_the_time_to_the_client_of_the_readme(name, tmp_path):
    (tmp_path / "clock.py").write_text(PROGRAMS["clock"], encoding="utf-8")
    with (
        serve_from(tmp_path, name, "clock:app") as server,
        client_of(server, "event client", tmp_path) as client,
    ):
        for _ in range(2):
            assert re.fullmatch(r"message \w{3} \w{3} .\d \d\d:\d\d:\d\d \d{4}", client.read())
        client.send_signal(signal.SIGINT)
        assert client.wait() != 0
        assert "Traceback" not in server.log()


def test_what_is_posted_to_the_program_that_pushes_comes_to_who_listens(tmp_path):
    (tmp_path / "news.py").write_text(PROGRAMS["event source"], encoding="utf-8")
    with serve_from(tmp_path, "gunicorn-gthread", "news:app") as server:
        url = f"http://127.0.0.1:{server.port}/news"
        with EventSourceClient(url) as events:
            events.on("open", lambda _: requests.post(url, data="extra", timeout=20))
            assert next(iter(events)).data == "extra"


@pytest.mark.parametrize("block", blocks(README), ids=["chat", *NAMES])
def test_every_block_of_code_compiles(block):
    compile(block, "README.rst", "exec")


def test_the_first_program_is_on_the_first_screen():
    assert FIRST.index(".. code-block:: python") < 60


def test_the_readme_fits_two_screens_and_shows_the_demo():
    assert len(FIRST.splitlines()) <= 130
    assert ".. image:: docs/pictures/demo.png" in FIRST
    assert (ROOT / "docs" / "pictures" / "demo.png").stat().st_size > 10_000
    assert len(CHAT.splitlines()) <= 40
