"""Falcon keeps its environ as req.env; who passes the request is told so."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer, Refused

ONLY = ("falcon",)


def test_the_request_itself_is_refused_with_the_cure(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/mistakes/request")
    assert refused.value.status == 500
    site.wait_for_traceback("TypeError: .*, got Request; pass its env$")


def test_a_refusal_with_a_text_of_the_views_own_reaches_the_client(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/forbidden")
    assert refused.value.status == 403
    assert b"members only" in refused.value.body
