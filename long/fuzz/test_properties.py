"""The same targets, with inputs that look right at first sight; small enough for every run."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from betfair_session.environment import NAMES
from fuzz import certificate, given as taken, network, stored
from fuzz.targets import TARGETS

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_TEXT = st.text(max_size=12)
_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_ANY = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
)
_NUMBER = st.floats() | st.integers() | st.sampled_from([0, 1, 1e308, -1e308, 2**70, 1.8e9])


def _nearly(**right: Any) -> st.SearchStrategy[dict[str, Any]]:  # noqa: ANN401 - strategies
    """Make dicts with these keys; now and then one is missing, or holds something else."""
    return st.fixed_dictionaries(
        {}, optional={name: value | _ANY for name, value in right.items()}
    ) | st.fixed_dictionaries(right)


_LOCKS = _nearly(
    v=st.just(1),
    state=st.sampled_from(["held", "done", "failed"]),
    nonce=_TEXT | st.just("mine"),
    owner=_TEXT,
    ttl=_NUMBER,
    since=_NUMBER,
    logins=st.lists(_NUMBER, max_size=30),
    published=_TEXT | st.sampled_from(["token-one", "token-new"]),
    refusals=_NUMBER,
    status=_TEXT,
    login_class=_TEXT | st.sampled_from(["unknown", "store", "ban"]),
    not_before=_NUMBER,
)
_CODES = st.sampled_from(["SUCCESS", "FAIL", "LIMITED_ACCESS", "NO_SESSION", "SUSPENDED", ""])
_ANSWERS = _nearly(token=_TEXT, sessionToken=_TEXT, status=_CODES, loginStatus=_CODES, error=_CODES)
_NESTED = ("client_kwargs", "config_kwargs", "s3_additional_kwargs", "config", "client_options")
_OPTIONS = st.dictionaries(
    st.sampled_from([*_NESTED, "key", "token", "connection_string", "sas_token", "account_name"])
    | _TEXT,
    _LEAF | st.dictionaries(_TEXT | st.sampled_from(["s3", "endpoint_url"]), _ANY, max_size=2),
    max_size=3,
)
_URLS = st.sampled_from(
    [
        "s3://b/p", "gs://b", "abfs://c", "az://c@a.dfs.core.windows.net/p", "memory://x",
        "obstore+s3://b", "obstore+gs://b", "obstore+az://c", "file:///x", "simplecache::s3://b",
    ]
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@FEW
@given(data=st.binary(max_size=200))
def test_any_bytes_do_no_harm(target: str, data: bytes) -> None:
    """Each target ends in a value or in one of our errors."""
    TARGETS[target](data)


@FEW
@given(choices=st.binary(min_size=24, max_size=24), fields=_LOCKS)
def test_any_lock_ends_in_a_decision(choices: bytes, fields: dict[str, Any]) -> None:
    """Whoever can write to the bucket cannot make a call crash, or wait past its time."""
    stored.lock(choices + json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@FEW
@given(status=st.integers(0, 15), fields=_ANSWERS)
def test_any_answer_is_a_verdict_or_none(status: int, fields: dict[str, Any]) -> None:
    """It is read as a token, as dead, as a refusal, or as "cannot tell"."""
    network.answers(bytes([status]) + json.dumps(fields).encode())


@FEW
@given(answer=_ANY)
def test_any_answer_of_the_betting_api_is_read(answer: Any) -> None:  # noqa: ANN401 - JSON
    """Nothing in it makes the check for an invalid session fail."""
    network.betting(json.dumps(answer).encode())


@FEW
@given(url=_URLS, options=_OPTIONS)
def test_any_storage_options_open_a_store_or_are_refused(url: str, options: dict[str, Any]) -> None:
    """They may come from BETFAIR_STORAGE_OPTIONS, which anybody may have written."""
    taken.store(url.encode() + b"\n" + json.dumps(options).encode())


@FEW
@given(values=st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30), max_size=12))
def test_any_variables_work_or_are_refused(values: dict[str, str]) -> None:
    """Whatever they hold, and whichever are missing."""
    taken.environment(values)


@FEW
@given(
    arguments=st.lists(
        st.sampled_from(["token", "check", "status", "certificate", "create", "--json", "--days"])
        | st.sampled_from(["-h", "--", "--timeout", "5", "memory://x", "k", "-1", "--p12", "%s"])
        | _TEXT,
        max_size=6,
    )
)
def test_any_command_line_is_understood_or_refused(arguments: list[str]) -> None:
    """With one of our errors, which is exit code 2."""
    taken.command_line("\n".join(arguments).encode("utf-8", "surrogatepass"))


@FEW
@given(
    form=st.integers(0, 5),
    opened=st.integers(0, 3),
    label=st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "X", ""]),
    body=st.binary(max_size=60) | st.just(b"AAAA\n"),
    end=st.booleans(),
)
def test_any_pem_is_a_certificate_or_refused(
    form: int,
    opened: int,
    label: str,
    body: bytes,
    end: bool,  # noqa: FBT001 - hypothesis' choice
) -> None:
    """Whatever stands between its lines."""
    begin, last = f"-----BEGIN {label}-----\n".encode(), f"\n-----END {label}-----\n".encode()
    certificate.certificate(bytes([form, opened]) + begin + body + (last if end else b""))


@pytest.mark.parametrize(
    "part", [b"token:", b"?", b" ", b"-----BEGIN A-----", b"<", b"://a:", b"\\"]
)
@pytest.mark.parametrize("target", ["answers", "errors", "address", "certificate"])
def test_long_input_takes_no_longer_than_in_proportion(target: str, part: bytes) -> None:
    """A hundred thousand bytes; counted is the work of this thread, whatever else is running."""
    starts = {"errors": bytes(9), "certificate": b"\0\0", "answers": b"\0"}
    data = starts.get(target, b"\0\0") + part * (100_000 // len(part)) + b"x"
    began = time.thread_time()
    TARGETS[target](data)
    assert time.thread_time() - began < 5
