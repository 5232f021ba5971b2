"""The examples for serverless functions, each run for real.

Lambda's runtime and Google's Functions Framework run as they do in the cloud. Azure's worker cannot
be installed from a package registry: there the functions of the app's own registry are called, in a
process of their own, by azure_program.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hidden.planted import plant
from rare_servers.proxy import Proxy
from servers.objects import Bucket, ObjectServer

from betfair_session.sandbox import Sandbox
from runtimes.clouds import Cloud, amazon, elsewhere
from runtimes.instances import Instance, LambdaInstance
from runtimes.outside import BLOB, Outside

CLOUDS = ["amazon", "google", "azure"]
ANSWER = {"eventTypes": ["Horse Racing"]}
HALF_A_DAY = 12 * 3600
"""Seconds for which a session of the sandbox lives."""


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Google's and Azure's services around a function."""
    with closing(Outside(tmp_path_factory.mktemp("outside"))) as outside:
        yield outside


@pytest.fixture
def cloud_of(
    sandbox: Sandbox,
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
    outside: Outside,
    tmp_path: Path,
) -> Iterator[Callable[[str], Cloud]]:
    """Deploy the example of a cloud: amazon, google or azure."""
    if sys.platform != "linux":
        pytest.skip("instances are watched through /proc, and awslambdaric has wheels for Linux")
    made, planted = list[Cloud](), plant(sandbox, tmp_path)

    def deploy(name: str) -> Cloud:
        if name == "amazon":
            bucket = bucket_on("moto")
            made.append(amazon(planted, bucket, tmp_path, proxy_to(bucket.server)))
        else:
            bucket = bucket_on({"google": "gcs-xml", "azure": "azure"}[name])
            made.append(elsewhere(name, planted, bucket, tmp_path, outside))
        return made[-1]

    yield deploy
    for instance in (each for cloud in made for each in cloud.instances):
        instance.stop()


@pytest.fixture(params=CLOUDS)
def cloud(cloud_of: Callable[[str], Cloud], request: pytest.FixtureRequest) -> Cloud:
    return cloud_of(request.param)


def assert_answers(instance: Instance) -> None:
    reply = instance.invoke()
    assert not reply.failed, reply.text + instance.log.read_text()
    assert json.loads(reply.text) == ANSWER


def test_a_warm_instance_reuses_what_it_has(cloud: Cloud) -> None:
    """Three invocations cost one look at the secret, one login and three betting calls."""
    (instance,) = cloud.start()
    assert cloud.sandbox.counts() == {}
    for _ in range(3):
        assert_answers(instance)
    assert cloud.sandbox.counts() == {"certlogin": 1, "betting": 3}
    assert cloud.fetched() == 1
    (session,) = cloud.sandbox.sessions()
    assert cloud.stored() == session.token


def test_another_instance_finds_the_session(cloud: Cloud) -> None:
    """A later cold start costs a keepAlive and no login."""
    for _ in range(2):
        (instance,) = cloud.start()
        assert_answers(instance)
    assert cloud.sandbox.counts() == {"certlogin": 1, "keepAlive": 1, "betting": 2}


def test_a_session_that_ended_during_a_freeze_is_renewed(cloud: Cloud) -> None:
    """Frozen for half a day, an instance logs in once and answers the next invocation."""
    (instance,) = cloud.start()
    assert_answers(instance)
    instance.freeze()
    cloud.sandbox.advance(HALF_A_DAY + 1)
    instance.thaw()
    assert_answers(instance)
    # The trust window says nothing of half a day, so the first betting call was rejected.
    assert cloud.sandbox.counts() == {"certlogin": 2, "keepAlive": 1, "betting": 3}
    (session,) = cloud.sandbox.sessions()
    assert cloud.stored() == session.token


def test_a_thawed_instance_takes_over_what_another_logged_in(cloud: Cloud) -> None:
    """While one is frozen the session ends and another renews it: no third login."""
    (frozen,) = cloud.start()
    assert_answers(frozen)
    frozen.freeze()
    cloud.sandbox.expire_all()
    (other,) = cloud.start()
    assert_answers(other)
    frozen.thaw()
    assert_answers(frozen)
    assert cloud.sandbox.counts()["certlogin"] == 2
    (session,) = cloud.sandbox.sessions()
    assert cloud.sandbox.journal("betting")[-1].token == session.token == cloud.stored()


@pytest.mark.usefixtures("one_crowd")
def test_cold_starts_at_once_share_one_login(cloud: Cloud) -> None:
    """All in processes of their own, invoked at the same time: one login, one token for all."""
    instances = cloud.start(cloud.crowd)
    with ThreadPoolExecutor(cloud.crowd) as pool:
        list(pool.map(assert_answers, instances))
    assert cloud.sandbox.counts()["certlogin"] == 1
    calls = cloud.sandbox.journal("betting")
    assert len(calls) == cloud.crowd
    assert {call.token for call in calls} == {cloud.stored()}
    assert cloud.fetched() == cloud.crowd


def test_nothing_secret_is_shown(cloud: Cloud) -> None:
    """Neither answers, nor logs, nor the environment hold a secret; not even after a refusal."""
    (instance,) = cloud.start()
    assert_answers(instance)
    shown = instance.invoke().text
    assert cloud.planted.secrets()["token 0"] == cloud.stored()
    cloud.sandbox.expire_all()
    cloud.sandbox.login_status("SUSPENDED")
    refused = instance.invoke()
    assert refused.failed
    shown += refused.text + instance.log.read_text() + instance.environment()
    assert "SUSPENDED" in shown
    assert cloud.planted.found_in(shown) == []
    assert cloud.sandbox.app_key not in shown


def test_the_identity_of_an_azure_function_reaches_the_blob(
    cloud_of: Callable[[str], Cloud], outside: Outside
) -> None:
    """With the URL of the README and no options, obstore asks the function's identity."""
    cloud = cloud_of("azure")
    (instance,) = cloud.start(
        BETFAIR_SESSION_STORE=f"obstore+abfs://my-container@{BLOB.replace('blob', 'dfs')}/betfair",
        BETFAIR_STORAGE_OPTIONS="",
    )
    assert instance.invoke().failed
    assert outside.blob_tokens == {"Bearer azure:https://storage.azure.com"}
    assert cloud.sandbox.counts() == {}


def test_an_invocation_fails_before_it_would_be_cut_off(cloud_of: Callable[[str], Cloud]) -> None:
    """Lambda's remaining time bounds the wait for Betfair: an error, and none of a betting call."""
    cloud = cloud_of("amazon")
    (instance,) = cloud.start()
    assert isinstance(instance, LambdaInstance)
    cloud.sandbox.hold("certlogin")
    reply = instance.invoke(seconds=3)
    assert cloud.sandbox.waiting("certlogin") == 1
    assert reply.failed
    # Which of the two limits is noticed first, the login's or the call's, is a matter of luck.
    assert json.loads(reply.text)["errorType"] in {"IdentityUnavailable", "ExchangeError"}
    assert "betting" not in cloud.sandbox.counts()
