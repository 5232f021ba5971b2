"""What the identity endpoints answer: logins, keepAlive and logout.

The facts and shapes are those of Betfair's pages on each endpoint and on its login limits. What
those pages leave open is decided strictly here, and is unsure: a form that cannot be decoded is
answered with CERT_AUTH_REQUIRED by certlogin and INPUT_VALIDATION_ERROR by login, a missing field
or X-Application header with INPUT_VALIDATION_ERROR by both; a FAIL answer carries an empty token.
"""

from __future__ import annotations

import re

from .records import Answer, Ask, html_answer, json_answer
from .world import Account, Login, World

_TOKEN = re.compile(r"[A-Za-z0-9+/]{43}=")
_MINUTE_SECONDS = 60.0


def answer(world: World, endpoint: str, ask: Ask) -> Answer:
    if endpoint == "certlogin":
        login = _login(world, ask, certlogin=True)
        token = {"sessionToken": login.token} if login.token else {}
        return json_answer(login.code, {**token, "loginStatus": login.code})
    # Without an Accept header that asks for JSON the service answers with something else.
    if "application/json" not in ask.headers.get("accept", "").lower():
        return html_answer("NOT_JSON", "Betfair")
    if endpoint == "login":
        login = _login(world, ask, certlogin=False)
        return _session_answer(ask, login, lastLoginDate="2026-01-31T12:00:00.000Z")  # undocumented
    kept = _keep_alive(world, ask.token)
    if endpoint == "logout":
        world.expire(ask.token)
    return _session_answer(ask, kept)


def _keep_alive(world: World, token: str) -> Login:
    if token and not _TOKEN.fullmatch(token):
        return Login("INPUT_VALIDATION_ERROR")
    session = world.session(token)
    if session is None:
        return Login("NO_SESSION")
    session.kept_alive = world.now()
    return Login("SUCCESS", token, "SUCCESS")


def _login(world: World, ask: Ask, *, certlogin: bool) -> Login:
    form = ask.form()
    if form is None and certlogin:
        return Login("CERT_AUTH_REQUIRED")
    if not (form and ask.application and form.get("username") and form.get("password")):
        return Login("INPUT_VALIDATION_ERROR")
    demanded = world.demanded()
    if demanded and (certlogin or demanded.status != "LIMITED_ACCESS"):
        return demanded
    account = world.accounts.get(form["username"])
    known = ask.certificate and (not account or ask.certificate in account.certificates)
    if certlogin and not known:
        return Login("CERT_AUTH_REQUIRED")
    code = account.two_step if account and not certlogin else None
    login = _admit(world, account, form["password"], code=code or "")
    return demanded._replace(token=login.token) if demanded and login.token else login


def _admit(world: World, account: Account | None, password: str, *, code: str) -> Login:
    """Check a password, to which a two-step code is appended."""
    settings = world.settings
    if account is None:
        return Login("INVALID_USERNAME_OR_PASSWORD")
    if world.now() < account.banned_until:
        return Login("TEMPORARY_BAN_TOO_MANY_REQUESTS")
    if account.wrong >= settings.lock_after:
        return Login("ACCOUNT_ALREADY_LOCKED")
    if password == account.password + code:
        account.wrong = 0
        return _within_limit(world, account)
    if code and password.startswith(account.password):
        without = password == account.password
        return Login("STRONG_AUTH_CODE_REQUIRED" if without else "STRONG_CODE_FAIL")
    account.wrong += 1
    locked = account.wrong >= settings.lock_after
    return Login("ACCOUNT_NOW_LOCKED" if locked else "INVALID_USERNAME_OR_PASSWORD")


def _within_limit(world: World, account: Account) -> Login:
    now = world.now()
    account.logins = [each for each in account.logins if each > now - _MINUTE_SECONDS]
    if len(account.logins) >= world.settings.logins_per_minute:
        account.banned_until = now + world.settings.ban_seconds
        return Login("TEMPORARY_BAN_TOO_MANY_REQUESTS")
    account.logins.append(now)
    return Login("SUCCESS", world.issue(account.username), "SUCCESS")


def _session_answer(ask: Ask, login: Login, **more: str) -> Answer:
    content = {
        "token": login.token,
        "product": ask.application,
        "status": login.status,
        "error": "" if login.code == login.status else login.code,
        **more,
    }
    return json_answer(login.code, content)
