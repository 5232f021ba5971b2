"""What each status of a Betfair login means: its class, and what the account holder can do.

The codes are those of Betfair's login pages, and a few that were seen live. The set is open: a code
that is not listed passes through by name with the class "unknown".

Classes: `credentials` (fix username, password or code), `account` (locked, suspended or closed),
`action` (something waits on the website), `certificate`, `location` (log in from elsewhere),
`jurisdiction` (another Betfair domain), `ban` (20 minutes), `temporary` (may pass by itself),
`request` (the request was malformed) and `unknown`.
"""

from __future__ import annotations

from betfair_session.process import NamedTuple

_BAN_SECONDS = 1200.0
_LADDER_SECONDS = (15.0, 60.0, 300.0, 900.0)

_UPLOAD = (
    "upload the .crt under My Account, Security, Automated Betting Program Access, and log in with "
    "that same file and its key"
)
_MOVE = "Set `jurisdiction` or BETFAIR_JURISDICTION"
_SITE = "log in to the Betfair website with this account"

_CLASS_HINTS = {
    "credentials": "Check the username, the password and, with two-step login, the code.",
    "account": "The account is not allowed to log in: contact Betfair's customer service.",
    "action": f"The account holder has to do something: {_SITE} and complete what it asks for.",
    "certificate": "Either the certificate is not this account's, or the password is wrong.",
    "location": (
        "Betfair does not serve the location of this address: use another network or location "
        "(check the cloud region, proxy or VPN)."
    ),
    "jurisdiction": (
        f"{_MOVE} to the one in which the account was opened: it belongs to another Betfair domain."
    ),
    "ban": (
        "Too many logins: wait 20 minutes without trying. Existing sessions stay valid, so keep "
        "using a stored token; then find out what logs in so often."
    ),
    "temporary": "Betfair has a problem on its side that may pass by itself: try again later.",
    "request": (
        "Betfair found the login request malformed: check that the username, password and app key "
        "are complete and hold no stray quotes or line ends."
    ),
    "unknown": (
        f"This library does not know this code: {_SITE} to see what it says, and look the code up "
        "in Betfair's login documentation."
    ),
}

# fmt: off
CODES = {
    "credentials": (
        "INVALID_USERNAME_OR_PASSWORD", "EMAIL_LOGIN_NOT_ALLOWED",
        "MULTIPLE_USERS_WITH_SAME_CREDENTIAL", "STRONG_CODE_FAIL",
        "MULTI_FACTOR_AUTHENTICATION_REQUIRED", "STRONG_AUTH_CODE_REQUIRED", "INVALID_PIN",
    ),
    "account": (
        "ACCOUNT_NOW_LOCKED", "ACCOUNT_ALREADY_LOCKED", "DUPLICATE_CARDS",
        "SECURITY_QUESTION_WRONG_3X", "KYC_SUSPEND", "SUSPENDED", "CLOSED", "SELF_EXCLUDED",
        "TRADING_MASTER", "TRADING_MASTER_SUSPENDED", "AGENT_CLIENT_MASTER",
        "AGENT_CLIENT_MASTER_SUSPENDED",
    ),
    "action": (
        "PENDING_AUTH", "TELBET_TERMS_CONDITIONS_NA", "DANISH_AUTHORIZATION_REQUIRED",
        "SPAIN_MIGRATION_REQUIRED", "DENMARK_MIGRATION_REQUIRED", "ITALY_MIGRATION_REQUIRED",
        "MIGRATION_REQUIRED", "SPANISH_TERMS_ACCEPTANCE_REQUIRED",
        "ITALIAN_CONTRACT_ACCEPTANCE_REQUIRED", "ITALIAN_PROFILING_ACCEPTANCE_REQUIRED",
        "INTERNATIONAL_TERMS_ACCEPTANCE_REQUIRED", "TERMS_AND_CONDITIONS",
        "CHANGE_PASSWORD_REQUIRED", "ACCOUNT_PENDING_PASSWORD_CHANGE",
        "PERSONAL_MESSAGE_REQUIRED", "SWEDEN_NATIONAL_IDENTIFIER_REQUIRED",
        "SWEDEN_BANK_ID_VERIFICATION_REQUIRED", "ACTIONS_REQUIRED",
        "CONTACT_VERIFICATION_REQUIRED", "UNRECOGNIZED_DEVICE",
    ),
    "certificate": ("CERT_AUTH_REQUIRED",),
    "location": (
        "NOT_AUTHORIZED_BY_REGULATOR_DK", "NOT_AUTHORIZED_BY_REGULATOR_IT",
        "SECURITY_RESTRICTED_LOCATION", "BETTING_RESTRICTED_LOCATION",
    ),
    "jurisdiction": (
        "AUTHORIZED_ONLY_FOR_DOMAIN", "AUTHORIZED_ONLY_FOR_DOMAIN_ES",
        "AUTHORIZED_ONLY_FOR_DOMAIN_RO", "AUTHORIZED_ONLY_FOR_DOMAIN_SE",
        "NOT_AUTHORIZED_FOR_DOMAIN_COM", "NOT_AUTHORIZED_FOR_DOMAIN_ES",
        "NOT_AUTHORIZED_FOR_DOMAIN_IT", "NOT_AUTHORIZED_FOR_DOMAIN_RO",
    ),
    "ban": ("TEMPORARY_BAN_TOO_MANY_REQUESTS",),
    "temporary": (
        "INVALID_CONNECTIVITY_TO_REGULATOR_DK", "INVALID_CONNECTIVITY_TO_REGULATOR_IT",
        "INTERNAL_ERROR",
    ),
    "request": ("INPUT_VALIDATION_ERROR", "FORBIDDEN"),
}
# fmt: on
"""Every code by its class."""

# The hints of codes for which that of the class says too little, or the wrong thing.
_HINTS = {
    "INVALID_USERNAME_OR_PASSWORD": (
        "Check the username and password, and do not retry: repeated wrong passwords lock the "
        "account."
    ),
    **dict.fromkeys(
        ("EMAIL_LOGIN_NOT_ALLOWED", "MULTIPLE_USERS_WITH_SAME_CREDENTIAL"),
        "Use the account's username instead of its email address.",
    ),
    "STRONG_CODE_FAIL": "The two-step code was wrong or had expired: use a fresh one.",
    **dict.fromkeys(
        ("MULTI_FACTOR_AUTHENTICATION_REQUIRED", "STRONG_AUTH_CODE_REQUIRED"),
        "The account has two-step login: give the code as well.",
    ),
    **dict.fromkeys(
        ("ACCOUNT_NOW_LOCKED", "ACCOUNT_ALREADY_LOCKED"),
        "The account is locked: stop trying, reset the password on the website or contact Betfair, "
        "then correct it everywhere it is stored.",
    ),
    "SELF_EXCLUDED": "The account holder has self-excluded: no login is possible until that ends.",
    "TRADING_MASTER": "A trading master account cannot log in here: use a sub-account.",
    "AGENT_CLIENT_MASTER": "An agent client master cannot log in here: use a client account.",
    **dict.fromkeys(
        ("CHANGE_PASSWORD_REQUIRED", "ACCOUNT_PENDING_PASSWORD_CHANGE"),
        "The password has to be changed: do it on the website, then correct it everywhere it is "
        "stored.",
    ),
    "UNRECOGNIZED_DEVICE": f"Betfair does not know this machine: {_SITE} from it and confirm it.",
    **dict.fromkeys(
        ("NOT_AUTHORIZED_BY_REGULATOR_DK", "NOT_AUTHORIZED_BY_REGULATOR_IT"),
        "The regulator does not let this account bet from here: contact Betfair.",
    ),
    "AUTHORIZED_ONLY_FOR_DOMAIN_ES": f'{_MOVE} to "spain".',
    "AUTHORIZED_ONLY_FOR_DOMAIN_RO": f'{_MOVE} to "romania".',
    "AUTHORIZED_ONLY_FOR_DOMAIN_SE": f'{_MOVE} to "sweden".',
    "FORBIDDEN": (
        "Betfair does not allow this request: check the app key, and that the login is meant for "
        "this host and account."
    ),
}

# What to add for a login with a certificate.
_WITH_CERTIFICATE = {
    "INVALID_USERNAME_OR_PASSWORD": (
        f"If they are right, make sure that the certificate is this account's: {_UPLOAD}."
    ),
    "CERT_AUTH_REQUIRED": (
        f"For the certificate, {_UPLOAD}. A proxy that decrypts TLS takes it away: have that let "
        "the certlogin host through undecrypted."
    ),
    "DANISH_AUTHORIZATION_REQUIRED": (
        "Residents of Denmark cannot log in with a certificate at all."
    ),
}
# And for one without.
_INTERACTIVE = {
    "INVALID_USERNAME_OR_PASSWORD": (
        "If a two-step code was sent, check it, too: an account without two-step login has none."
    ),
}


class LoginStatus(NamedTuple):
    """What a status means: its class, and what the account holder can do, in a sentence or two."""

    login_class: str
    hint: str


def after_refusal(login_class: str, before: int) -> tuple[float, int]:
    """Return for how many seconds to send no login after a refusal, and how many count by then.

    `before` counted so far, in a row. Betfair says that a ban lasts 20 minutes. The rest is this
    library's choice: 15 seconds for "temporary" and "unknown" (and any class not listed), which do
    not count; 15 seconds, then 1, 5 and 15 minutes for the classes that need a person, since
    repeated attempts lock accounts.
    """
    if login_class == "ban":
        return _BAN_SECONDS, before + 1
    if login_class in {"temporary", "unknown"} or login_class not in CODES:
        return _LADDER_SECONDS[0], before
    return _LADDER_SECONDS[min(max(before, 0), len(_LADDER_SECONDS) - 1)], before + 1


def describe(code: str, *, certificate: bool = True) -> LoginStatus:
    """Look up the status of a login with a certificate or without.

    A code that is not listed has the class "unknown" and a general hint.
    """
    login_class = next((name for name, codes in CODES.items() if code in codes), "unknown")
    hint = _HINTS.get(code) or _CLASS_HINTS[login_class]
    more = (_WITH_CERTIFICATE if certificate else _INTERACTIVE).get(code)
    return LoginStatus(login_class, f"{hint} {more}" if more else hint)
