"""What may be a token, and what else may lie in its place."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from betfair_session import NotATokenError
from betfair_session.tokens import MAX_JUNK, MAX_TOKEN, is_blank, is_token, parse_token

TOKEN = "Vy3cRRwexu9s+aX3hwSmZwRaYPxWInxvAihHxjXYKkc="


@pytest.mark.parametrize(
    "content",
    [
        *(
            TOKEN.encode() + ending
            for ending in (b"", b"\n", b"\r\n", b"\n\n", b" \n", b"\t", b"\0")
        ),
        b" " + TOKEN.encode(),
        b"\n" + TOKEN.encode(),
        b"\xef\xbb\xbf" + TOKEN.encode() + b"\r\n",
        b"\xff\xfe" + f"{TOKEN}\r\n".encode("utf-16-le"),
        b"\xfe\xff" + f" {TOKEN}\n".encode("utf-16-be"),
        TOKEN.encode() + "\u00a0\u200b".encode(),
    ],
)
def test_a_token_is_read_without_what_others_put_around_it(content: bytes) -> None:
    """Editors, `echo`, PowerShell and Notepad do; a login would leave the live session behind."""
    token = parse_token(content, where="x")
    assert token is not None
    assert token.reveal() == TOKEN


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\0" * 44, b"\xef\xbb\xbf\r\n", b"\xff\xfe\r\0\n\0", b"\xfe\xff"]
)
def test_what_holds_nothing_is_blank(content: bytes) -> None:
    """A new token takes its place without a warning."""
    assert is_blank(content)
    assert parse_token(content, where="x") is None


@pytest.mark.parametrize("content", [b"x", b"\xff\xfe\0", b"\xff", b"a\0b", b"\xff\xfe\0\0x\0\0\0"])
def test_anything_else_is_not_blank(content: bytes) -> None:
    """Bytes that are no text, half a character and UTF-32 among them."""
    assert not is_blank(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"   ",
        b"two words",
        "tökèn".encode(),
        b"\x00" * 44,
        b"a\nb",
        b"x" * (MAX_TOKEN + 1),
        b"x" * MAX_JUNK,
    ],
)
def test_blank_content_and_small_junk_count_as_no_token(content: bytes) -> None:
    """A login may replace it."""
    assert parse_token(content, where="x") is None


@pytest.mark.parametrize("content", [b"x" * (MAX_JUNK + 1), b" " * (MAX_JUNK + 1)])
def test_larger_content_is_refused_without_showing_it(content: bytes) -> None:
    """It is somebody's data after a mistyped key."""
    with pytest.raises(NotATokenError, match="'k' in s") as caught:
        parse_token(content, where="'k' in s")
    assert "xxx" not in str(caught.value)


@given(st.binary(max_size=MAX_JUNK))
def test_whatever_is_accepted_can_become_a_header(content: bytes) -> None:
    """No byte string makes a token with spaces, line breaks or characters beyond ASCII."""
    token = parse_token(content, where="x")
    if token is not None:
        text = token.reveal()
        assert 1 <= len(text) <= MAX_TOKEN
        assert all("!" <= character <= "~" for character in text)
        forms = {text.encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be")}
        assert any(form in content for form in forms)


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_every_printable_ascii_text_up_to_the_limit_is_a_token(text: str) -> None:
    """The rule is wider than Betfair's 44 characters, so that a change of theirs breaks nobody."""
    assert is_token(text) == (len(text) <= MAX_TOKEN)


@pytest.mark.parametrize("value", [None, 1, b"bytes", ["x"], True])
def test_only_a_text_is_a_token(value: object) -> None:
    """JSON can hold anything where a token should be."""
    assert not is_token(value)
