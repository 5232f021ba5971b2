"""What a store does on the wire: how many requests, and what it makes of every failure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar
from unittest.mock import ANY

import pytest
from servers.objects import ProgramServer
from servers.process import free_ports, poll
from servers.script import Answer
from within import within

from betfair_session.exceptions import StoreUnavailable, StoreWriteError
from betfair_session.storage import gcs, open_store
from betfair_session.storage.contract import ABSENT, VersionConflict
from storage import dialects
from storage.calls import CALLS, CONDITIONAL, WRITES, failure, secrets_in
from storage.places import TIMEOUT, BucketPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.objects import ObjectServer
    from servers.proxy import Proxy
    from servers.script import Fault

    from betfair_session.storage.contract import TokenStore
    from storage.dialects import Dialect


@dataclasses.dataclass
class Line:
    """A store that reaches its server through a proxy, with one object in it.

    Attributes:
        version: of the object "token", which holds b"present".
    """

    place: BucketPlace
    proxy: Proxy
    store: TokenStore
    version: str

    @property
    def server(self) -> ProgramServer:
        """The server behind the proxy."""
        assert isinstance(self.place.bucket.server, ProgramServer)
        return self.place.bucket.server

    @property
    def methods(self) -> list[str]:
        """The requests so far."""
        return [each.method for each in self.proxy.requests]

    def state(self) -> dict[str, bytes | None]:
        """Return what is in the bucket, past the proxy."""
        keys = self.place.keys()
        return {key: self.place.get(key) for key in keys}


PRESENT = {"prefix/token": b"present"}
CHANGED = {
    "create": {**PRESENT, "prefix/fresh": b"mine"},
    "replace_if_version": {"prefix/token": b"mine"},
    "replace": {"prefix/token": b"mine"},
    "delete": {},
}
"""What each call leaves behind when it arrives."""


class OnTheWire:
    """For stores that speak HTTP."""

    dialect: ClassVar[Dialect]

    @pytest.fixture
    def line(self, place: BucketPlace, proxy_to: Callable[[ObjectServer], Proxy]) -> Iterator[Line]:
        """A store behind a proxy."""
        proxy = proxy_to(place.bucket.server)
        with open_store(place.url("prefix"), place.options) as direct:
            version = direct.put("token", b"present", ABSENT, deadline=within(TIMEOUT))
        options = place.bucket.server.options(proxy.endpoint)
        with open_store(place.url("prefix"), options) as store:
            yield Line(place, proxy, store, version)

    @pytest.mark.parametrize("call", CALLS)
    def test_each_call_is_one_request(self, line: Line, call: str) -> None:
        """The first call of a fresh store, and every further one, costs one request."""
        CALLS[call](line.store, line.version, TIMEOUT)
        assert len(line.proxy.requests) == 1, line.proxy.requests
        if call != "read":
            assert line.state() == CHANGED[call]
        line.store.get("other", deadline=within(TIMEOUT))
        assert len(line.proxy.requests) == 2, line.proxy.requests

    @pytest.mark.parametrize("call", CONDITIONAL)
    def test_the_condition_goes_with_the_write(self, line: Line, call: str) -> None:
        """The server is asked to check; looking first and then writing would be a race."""
        CALLS[call](line.store, line.version, TIMEOUT)
        sent = line.proxy.requests[0]
        assert sent.conditions
        assert "expect" not in sent.headers, "that would be a round trip more"

    def test_a_huge_object_is_not_fetched_whole(self, line: Line) -> None:
        """Of 50 MB only a part crosses the wire, in one request."""
        line.place.put("prefix/huge", b"x" * 50_000_000)
        found = line.store.get("huge", deadline=within(TIMEOUT))
        assert found is not None
        assert len(found.content) == 4097
        line.store.close()
        assert [each.method for each in line.proxy.requests] == ["GET"]
        assert line.proxy.requests[0].delivered < 10_000_000

    def test_an_answer_in_pieces_is_read_whole(self, line: Line) -> None:
        """A slow network delivers it so."""
        content = bytes(range(256)) * 8
        line.place.put("prefix/long", content)
        line.proxy.fail("GET", "halves", seconds=0.2)
        found = line.store.get("long", deadline=within(TIMEOUT))
        assert found is not None
        assert found.content == content

    @pytest.mark.parametrize("call", CALLS)
    def test_a_refusal_is_told(self, line: Line, call: str) -> None:
        """Access refused in any words: "forbidden", nothing changed, asked once."""
        for status, code in self.dialect.forbidden:
            self._refuse(line, call, self.dialect.say(status, code), "forbidden", landed=False)

    @pytest.mark.parametrize("call", CALLS)
    def test_rejected_credentials_are_looked_for_anew_once(self, line: Line, call: str) -> None:
        """Key files are rewritten while a program runs; the driver would never read them again."""
        for status, code in self.dialect.rejected:
            line.proxy.clear()
            line.proxy.fail("*", self.dialect.say(status, code), times=2)
            error = failure(call, line.store, line.version)
            assert (error.reason, error.landed, line.methods) == ("forbidden", False, [ANY, ANY])
        line.proxy.fail("*", self.dialect.say(*self.dialect.rejected[0]))
        CALLS[call](line.store, line.version, TIMEOUT)
        if call != "read":
            assert line.state() == CHANGED[call]

    @pytest.mark.parametrize("call", CALLS)
    def test_a_page_in_between_is_told(
        self, line: Line, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        """A proxy's page is not the store's word, whatever its status, and no conflict."""
        monkeypatch.setattr(gcs, "_is_emulator", lambda _: False)  # of one less is asked
        for status in (400, 403, 407, 409, 412, 429, 502, 503):
            self._refuse(line, call, dialects.page(status), "server", landed=call != "read")

    @pytest.mark.parametrize("call", ["read", "delete"])
    def test_a_404_of_somebody_else_is_no_missing_object(
        self, line: Line, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        """What routes requests gives it while it knows no way; a live token would look absent."""
        monkeypatch.setattr(gcs, "_is_emulator", lambda _: False)  # fake-gcs-server names nothing
        plain = Answer(404, b"404 page not found\n", {"Content-Type": "text/plain"})
        for answer in (dialects.page(404), plain, Answer(404, b"", {})):
            self._refuse(line, call, answer, "server", landed=call != "read")

    @pytest.mark.parametrize("call", WRITES)
    def test_a_write_that_a_gateway_gave_up_may_have_landed(self, line: Line, call: str) -> None:
        """It does not know what the server behind it still does."""
        for status in (502, 504):
            self._refuse(line, call, dialects.page(status), "server", landed=True)

    @pytest.mark.parametrize("call", ["read", "create", "replace_if_version", "replace"])
    def test_a_page_with_status_200_is_no_success(self, line: Line, call: str) -> None:
        """A login page of the network is neither a token nor a completed write."""
        line.proxy.fail("*", dialects.page(200))
        error = failure(call, line.store, line.version)
        assert isinstance(error, (StoreUnavailable, StoreWriteError))
        assert (error.reason, error.landed) == ("server", call != "read")
        assert len(line.proxy.requests) == 1

    @pytest.mark.parametrize("call", CALLS)
    def test_throttling_is_told(self, line: Line, call: str) -> None:
        """A request to slow down is passed on at once, not answered with more requests."""
        for status, code in self.dialect.throttled:
            self._refuse(line, call, self.dialect.say(status, code), "throttled", landed=False)

    @pytest.mark.parametrize("call", CALLS)
    def test_a_failing_server_is_told(self, line: Line, call: str) -> None:
        """A server's failure is told, not tried again."""
        for status, code in self.dialect.broken:
            self._refuse(line, call, self.dialect.say(status, code), "server")

    @pytest.mark.parametrize("call", CONDITIONAL)
    def test_a_failed_condition_in_any_disguise_is_a_conflict(self, line: Line, call: str) -> None:
        """409 and 412 under all their names mean: read again."""
        for status, code in self.dialect.conflicts:
            self._refuse(line, call, self.dialect.say(status, code), "conflict", landed=False)

    @pytest.mark.parametrize("call", CALLS)
    def test_a_refusal_that_lasts_is_no_conflict(self, line: Line, call: str) -> None:
        """409 and 412 for other causes end a call at once, in the store's own words.

        A conditional write looks once whether the object is what its condition says.
        """
        for status, code in self.dialect.lasting:
            line.proxy.clear()
            line.proxy.fail(
                lambda each: call == "read" or each.method != "GET", self.dialect.say(status, code)
            )
            error = failure(call, line.store, line.version)
            assert (error.reason, error.landed) == ("other", False)
            assert not isinstance(error, VersionConflict)
            assert code in str(error)
            # Azure's reads tell the code alone.
            assert "scripted" in str(error) or (call == "read" and self.dialect is dialects.AZURE)
            assert line.methods.count(line.methods[0]) == 1
            assert line.state() == PRESENT

    @pytest.mark.parametrize("call", CONDITIONAL)
    def test_a_conflict_in_unknown_words_is_one(self, line: Line, call: str) -> None:
        """The object says so: another write was there first."""
        key = "prefix/fresh" if call == "create" else "prefix/token"
        line.place.put(key, b"another's")
        for status in (409, 412):
            answer = self.dialect.say(status, "OddWords")
            line.proxy.fail(lambda each: each.method != "GET", answer)
            assert isinstance(failure(call, line.store, line.version), VersionConflict)
        assert line.place.get(key) == b"another's"

    @pytest.mark.parametrize("call", ["replace", "delete"])
    def test_an_unconditional_write_knows_no_conflict(self, line: Line, call: str) -> None:
        """409 without a condition is an ordinary failure, never a VersionConflict."""
        line.proxy.fail("*", self.dialect.say(409, "OperationAborted"))
        error = failure(call, line.store, line.version)
        assert not isinstance(error, VersionConflict)
        assert len(line.proxy.requests) == 1

    def _refuse(
        self,
        line: Line,
        call: str,
        answer: Answer,
        reason: str,
        *,
        landed: bool | None = None,
    ) -> None:
        line.proxy.clear()
        # A second request would be let through, and show.
        line.proxy.fail("*", answer)
        error = failure(call, line.store, line.version)
        assert (error.reason, len(line.proxy.requests)) == (reason, 1), (answer, error)
        verb = "replace if unchanged" if call == "replace_if_version" else call
        assert str(error).startswith(f"cannot {verb} {error.key!r} in {line.store.label}: ")
        if reason == "conflict":
            assert isinstance(error, VersionConflict)
        elif call == "read":
            assert isinstance(error, StoreUnavailable)
        else:
            assert isinstance(error, (StoreUnavailable, StoreWriteError))
        if landed is not None:
            assert error.landed is landed
        assert error.key == ("fresh" if call == "create" else "token")
        assert line.place.bucket.name in error.store
        assert line.place.bucket.name in str(error)
        assert line.state() == PRESENT

    @pytest.mark.parametrize("fault", ["reset", "lost", "truncate"])
    @pytest.mark.parametrize("call", CALLS)
    def test_a_broken_connection_is_told(self, line: Line, call: str, fault: Fault) -> None:
        """A write whose answer was lost may have landed, and is not sent twice."""
        line.proxy.fail("*", fault, times=5)
        error = failure(call, line.store, line.version)
        assert isinstance(error, StoreUnavailable)
        assert error.reason == "unreachable"
        if call == "read":
            # A read may be repeated once: idle connections are closed by servers.
            assert len(line.proxy.requests) <= 2
            assert not error.landed
        else:
            assert len(line.proxy.requests) == 1
            assert error.landed
            assert line.state() == (PRESENT if fault == "reset" else CHANGED[call])

    @pytest.mark.parametrize("fault", ["hold", "hold-answer"])
    @pytest.mark.parametrize("call", CALLS)
    def test_no_answer_ends_in_time(self, line: Line, call: str, fault: Fault) -> None:
        """A call without an answer ends at its timeout; a write may land later, and says so."""
        line.store.get("token", deadline=within(TIMEOUT))
        line.proxy.clear()
        rule = line.proxy.fail("*", fault)
        error = failure(call, line.store, line.version, timeout=1)
        assert isinstance(error, StoreUnavailable)
        assert (error.reason, error.landed) == ("timeout", call != "read")
        rule.release.set()
        if call != "read":
            assert any(line.state() == CHANGED[call] for _ in poll(10))
        assert len(line.proxy.requests) == 1
        assert line.store.get("other", deadline=within(TIMEOUT)) is None

    @pytest.mark.parametrize("call", CALLS)
    def test_a_frozen_server_holds_nobody(self, line: Line, call: str) -> None:
        """With the server frozen the call ends; a write lands later only if it said so."""
        line.store.get("token", deadline=within(TIMEOUT))
        line.server.process.pause()
        try:
            error = failure(call, line.store, line.version, timeout=1)
        finally:
            line.server.process.resume()
        assert isinstance(error, StoreUnavailable)
        assert error.reason == "timeout"
        if not error.landed:
            assert all(line.state() == PRESENT for _ in poll(1))

    @pytest.mark.parametrize("call", CALLS)
    def test_nobody_listening_is_told(self, place: BucketPlace, call: str) -> None:
        """A refused connection certainly changed nothing."""
        endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
        options = place.bucket.server.options(endpoint)
        with open_store(place.url("prefix"), options) as store:
            error = failure(call, store, "1")
        assert isinstance(error, StoreUnavailable)
        assert (error.reason, error.landed) == ("unreachable", False)

    def test_no_error_holds_a_credential(self, line: Line) -> None:
        """Neither an error nor anything it was raised from holds a key of the options."""
        secrets = _secrets(line.place.options)
        answers: list[Answer | Fault] = [
            self.dialect.say(*self.dialect.forbidden[0]),
            self.dialect.say(*self.dialect.broken[0]),
            self.dialect.say(*self.dialect.conflicts[0]),
            dialects.page(403),
            "reset",
            "truncate",
        ]
        for answer in answers:
            for call in ("read", *WRITES):
                line.proxy.clear()
                line.proxy.fail("*", answer, times=5)
                error = failure(call, line.store, line.version)
                assert secrets_in(error, secrets) == []

    def test_the_store_itself_shows_no_credential(self, line: Line) -> None:
        """Its label and its representation are for people."""
        secrets = _secrets(line.place.options)
        shown = f"{line.store.label} {line.store!r} {line.store}"
        assert [secret for secret in secrets if secret in shown] == []


def _secrets(options: dict[str, object]) -> list[str]:
    """Return the credentials in storage options, alone and as a whole."""
    found = [str(value) for name, value in options.items() if name in _SECRET_OPTIONS]
    for text in list(found):
        parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
        found += [parts[name] for name in ("AccountKey", "SharedAccessSignature") if name in parts]
    return found


_SECRET_OPTIONS = frozenset({"secret", "connection_string", "account_key", "sas_token", "password"})
