"""docs/extensions.rst says what is so: its tables are those of the code, its programs run."""

from __future__ import annotations

import re
from dataclasses import fields
from inspect import signature

import pytest

import faye_sync
from benchmarks import deflate_memory, deflate_speed
from faye_sync import ConfigurationError, Extension, PerMessageDeflate, ProtocolError
from faye_sync.driver.engines import available
from faye_sync.driver.extension import Message
from faye_sync.driver.extension_header import parse_extensions
from faye_sync.driver.negotiation import Offered, respond
from faye_sync.driver.pipeline import Pipeline
from tests.support.program import Program
from tests.support.servers import ROOT
from tests.test_readme import blocks, exists, rows, section, serve_from

PAGE = (ROOT / "docs" / "extensions.rst").read_text(encoding="utf-8")
PROGRAMS = blocks(PAGE)
LIMITS = {"max_length": 2**20}

# What shows that a section is true, beside the tests of this file.
PROOFS = {
    "Compression": (
        "tests/driver/test_deflate_terms.py::test_a_server_answers_what_it_can_read",
        "tests/driver/test_deflate_terms.py::test_a_client_takes_what_it_asked_for",
        "tests/driver/test_deflate_terms.py::test_the_first_legal_offer_of_a_header_is_answered",
        "tests/driver/test_deflate_terms.py::test_an_option_that_is_not_allowed_is_named_with_what_is",
        "tests/driver/test_deflate.py::test_one_extension_serves_connections_that_share_nothing",
    ),
    "What is compressed": (
        "tests/driver/test_deflate.py::test_the_threshold_counts_unless_the_call_says_otherwise",
        "tests/driver/test_deflate.py::test_each_part_can_be_read_before_the_next_is_sent",
        "tests/driver/test_deflate.py::test_what_does_not_shrink_is_sent_packed_where_windows_are_kept",
        "tests/driver/test_deflate.py::test_what_does_not_shrink_is_sent_plain_where_windows_are_not_kept",
        "tests/driver/test_deflate_codec.py::test_a_bomb_of_512_mib_takes_less_than_1_mib_beyond_the_limit",
        "tests/driver/test_deflate.py::test_a_stream_has_no_limit_and_comes_64_kib_at_a_time",
        "tests/driver/test_deflate_codec.py::test_what_is_corrupt_is_refused_with_1007_in_the_engines_words",
    ),
    "Secrets": (
        "tests/driver/test_deflate.py::test_plain_messages_between_packed_ones_leave_the_windows_alone",
    ),
    "Memory": (
        "tests/driver/test_deflate_codec.py::test_nothing_is_made_before_it_is_needed_nor_kept_without_takeover",
    ),
    "Engines": (
        "tests/driver/test_engines.py::test_isal_is_liked_best_then_zlib_ng",
        "tests/driver/test_engines.py::test_zlib_does_what_isal_cannot_where_zlib_ng_is_not_installed",
        "tests/driver/test_engines.py::test_what_cannot_be_imported_is_done_without",
        "tests/driver/test_engines.py::test_nothing_is_packed_that_looks_out_of_the_window",
        "tests/driver/test_engines.py::test_an_engine_that_loses_what_follows_a_final_block_is_not_taken",
        "tests/driver/test_deflate_codec.py::test_every_engine_unpacks_what_this_one_packs",
    ),
    "Writing an extension": (
        "tests/driver/test_pipeline.py::test_messages_leave_in_the_order_of_the_answer_and_come_in_reverse",
        "tests/driver/test_pipeline.py::test_a_session_needs_no_more_than_the_methods_for_whole_messages",
        "tests/driver/test_pipeline.py::test_what_a_session_raises_fails_the_connection",
        "tests/driver/test_pipeline.py::test_after_a_failure_one_way_refuses_and_the_other_goes_on",
    ),
}


def tables(title: str) -> list[list[list[str]]]:
    """The tables of a section, without their headers."""
    # A table ends with the last === line before an empty one.
    found = re.findall(r"^=+ .*?=+(?=\n\n)", section(PAGE, title), re.MULTILINE | re.DOTALL)
    return [rows(table) for table in found]


def program(mark: str) -> str:
    """The one program of the page that holds a mark."""
    (found,) = (block for block in PROGRAMS if mark in block)
    return found


# --- the page --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", re.findall(r"^(.+)\n---+$", PAGE, re.MULTILINE))
def test_every_section_has_tests_that_exist(title):
    assert [proof for proof in PROOFS[title] if not exists(proof)] == []


@pytest.mark.parametrize("command", re.findall(r"``python (\S+\.py)``", PAGE))
def test_every_command_is_there(command):
    assert (ROOT / command).exists()


# --- compression -----------------------------------------------------------------------------------------


def test_the_table_of_options_is_the_signature():
    told = {
        option.strip("`"): default.strip("`") for option, default, _ in tables("Compression")[0]
    }
    known = signature(PerMessageDeflate).parameters.values()
    assert told == {parameter.name: repr(parameter.default) for parameter in known}
    assert list(told) == [field.name for field in fields(PerMessageDeflate)]


@pytest.mark.parametrize("name", ["werkzeug", "gevent"])
def test_server_and_client_compress_as_they_stand(name, tmp_path):
    (tmp_path / "echo.py").write_text(program("def app"), encoding="utf-8")
    with serve_from(tmp_path, name, "echo:app") as server:
        url = f"ws://{server.address[0]}:{server.address[1]}/"
        text, count = re.subn(r"wss://example\.com/\w*", url, program("Client("))
        (tmp_path / "client.py").write_text(text, encoding="utf-8")
        with Program(tmp_path / "client.py") as running:
            assert running.wait() == 0
            assert (count, running.rest()) == (1, ["('permessage-deflate',) 300"])


# --- engines and memory ----------------------------------------------------------------------------------


def test_the_tables_name_every_engine():
    (speed,) = tables("Engines")
    (memory,) = tables("Memory")
    names = {engine.name for engine in available()}
    assert names <= {row[0] for row in speed}
    header = re.search(r"^bits, .*$", section(PAGE, "Memory"), re.MULTILINE)[0].split()
    assert names <= set(header)
    assert [row[0].partition(":")[0] for row in memory[:-1]] == list(deflate_memory.SETTINGS)


@pytest.mark.parametrize("takeover", deflate_memory.TAKEOVER)
def test_the_program_that_measures_memory_runs(takeover, monkeypatch):
    monkeypatch.setattr(deflate_memory, "CONNECTIONS", 2)
    monkeypatch.setattr(deflate_memory.OnOneEngine, "chosen", "zlib")
    forgets = deflate_memory.TAKEOVER[takeover]
    assert isinstance(deflate_memory.measure(2**12, 9, 1, forgets=forgets), float)


def test_the_program_that_measures_speed_runs(monkeypatch):
    monkeypatch.setattr(deflate_speed, "ROUNDS", 1)
    assert re.fullmatch(
        r" +[\d.]+ +[\d.]+ +[\d.]+%", deflate_speed.row(available()[-1], None, forgets=False)
    )


# --- writing an extension --------------------------------------------------------------------------------


@pytest.fixture
def checksum() -> Extension:
    """The extension of the page."""
    names: dict[str, type] = {}
    exec(program("class Checksum"), names)
    return names["Checksum"]()


def joined(client: list[Extension], server: list[Extension]) -> tuple[Pipeline, Pipeline]:
    """The pipelines of a client and a server that have agreed."""
    offered = Offered(client, LIMITS)
    answer, theirs = respond(server, offered.value, LIMITS)
    ours = offered.activate(answer)
    assert ours is not None
    assert theirs is not None
    return ours, theirs


def test_the_extension_of_the_page_notices_damage(checksum):
    client, server = joined([checksum], [checksum])
    assert client.names == server.names == ("x-checksum",)
    message = client.outgoing(Message(1, b"Hello"))
    assert message.data == b"Hello" + bytes.fromhex("f7d18982")
    assert server.incoming(Message(1, message.data)).data == b"Hello"
    with pytest.raises(ProtocolError, match=r"checksum f7d18982 is wrong") as error:
        server.incoming(Message(1, b"Hallo" + message.data[5:]))
    assert error.value.code == 1007


def test_the_extension_of_the_page_is_compressed_too(checksum):
    client, server = joined([PerMessageDeflate(), checksum], [checksum, PerMessageDeflate()])
    assert client.names == server.names == ("x-checksum", "permessage-deflate")
    message = client.outgoing(Message(1, b"Hello" * 100))
    assert len(message.data) < 50
    assert server.incoming(message).data == b"Hello" * 100


def test_the_table_of_the_extension_is_what_extensions_have():
    told = re.findall(r"``(\w+)", "".join(row[0] for row in tables("Writing an extension")[0]))
    known = [name for name in vars(Extension) if not name.startswith("_") and name != "Session"]
    assert sorted(told) == sorted(known)


def test_the_table_of_the_session_is_what_sessions_have():
    told = re.findall(r"``(\w+)", "".join(row[0] for row in tables("Writing an extension")[1]))
    known = [name for name in vars(Extension.Session) if not name.startswith("_")]
    assert sorted(told) == sorted(known)


def test_parameters_are_read_as_the_page_says():
    written, read = re.search(
        r"``(x; .*?)`` is ``(.*?)``", " ".join(PAGE.split()), re.DOTALL
    ).groups()
    ((name, params),) = parse_extensions(written)
    assert (name, repr(params).replace("'", '"')) == ("x", read)


def test_what_the_page_imports_is_public():
    imported = re.findall(r"from faye_sync import (.+)", "\n".join(PROGRAMS))
    names = {name.strip() for line in imported for name in line.split(",")}
    assert names <= set(faye_sync.__all__)


def test_an_option_that_is_not_allowed_raises_what_the_page_says():
    with pytest.raises(ConfigurationError, match="from 8 to 15"):
        PerMessageDeflate(max_window_bits=16)
