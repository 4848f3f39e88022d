"""A candidate on trial: who gets its answers, what is seen of it, and how the trial ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serve.activation.activation import ActivationRequest
from serve.activation.phases import Phase
from serve.engine.protocol import Decoded, Task
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.trials.agreement import spans_of
from serve.trials.evidence import kept
from serve.trials.policy import Policy, Rules
from serve.trials.trial import Plan
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.gate_record import Verdict
from taxonomy.comments import LabelledComment
from taxonomy.errors import ActivationRefused, EngineFailed, RegistryFailed, TrialEnded
from taxonomy.labels import CheckpointId
from tests.support.checkpoints import proven, root_of, unpublished
from tests.support.trials import IDS, asked, ended, on_trial, sample
from tests.support.two_checkpoints import COMMENT, House, until

pytestmark = pytest.mark.usefixtures("judged_often")


def test_a_canary_gets_its_share_and_each_answer_is_of_the_pair_that_it_names(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 0.5)) as (replica, _):
            answers = [await asked(house, name) for name in IDS]
            assert answers == [await asked(house, name) for name in IDS]
            assert {name for name, _ in answers} == {house.one, house.two}
            assert replica.trial
            (stage,) = replica.trial.stages
            taken = sum(name == house.two for name, _ in answers)
            assert (stage.candidate.requests, stage.active.requests) == (2 * taken, 2 * (len(IDS) - taken))
            assert sample(house, "trial_requests_total", arm="candidate", outcome="answered") == 2 * taken
            assert sample(house, "trial_share", mode="canary") == 0.5
            for pair, answer in answers:
                assert answer == await house.routers[pair].aside(COMMENT)

    asyncio.run(test())


def test_who_has_no_name_is_answered_by_the_active_pair(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)):
            assert (await house.ask())[0] == house.one
            assert (await asked(house, "review-1"))[0] == house.two

    asyncio.run(test())


def test_it_is_loaded_checked_and_verified_before_it_gets_anything(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)):
            before = [Phase.RESOLVING, Phase.CHECKING, Phase.LOADING, Phase.WARMING, Phase.VERIFYING, Phase.TRYING]
            assert house.phases == before

    asyncio.run(test())


def test_without_the_gate_it_is_not_tried_unless_an_admin_takes_it_on_by_name(house: House, tmp_path: Path) -> None:
    third = asyncio.run(proven(unpublished(tmp_path / "3", 3), house.settings, gate=None)).version
    house.registry.add(tmp_path / "3", bundled_taxonomy(), "test")

    async def test() -> None:
        replica = house.replica()
        with pytest.raises(ActivationRefused, match="has no gate record"):
            await replica.try_out(ActivationRequest(third, "ada"), Plan("canary", 0.1))
        task = asyncio.create_task(
            replica.try_out(ActivationRequest(third, "ada", without_gate="Ada"), Plan("canary", 0.1))
        )
        await until(lambda: house.swap.phase is Phase.TRYING)
        replica.stop(third, "ada")
        with pytest.raises(TrialEnded):
            await task

    asyncio.run(test())
    assert (ended(house).candidate, ended(house).without_gate) == (third, "Ada")


def test_a_stopped_trial_ends_what_it_has_begun_and_leaves_the_active_pair(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)) as (replica, task):
            engine = house.engines[house.two]
            engine.go_on.clear()
            request = asyncio.create_task(asked(house, "review-1"))
            await asyncio.sleep(0)
            replica.stop(house.two, "bob")
            await until(lambda: house.swap.phase is Phase.RETURNING)
            assert (await asked(house, "review-1"))[0] == house.one
            assert not engine.closed
            engine.go_on.set()
            assert (await request)[0] == house.two
            with pytest.raises(TrialEnded, match="stopped by bob"):
                await task
            assert engine.closed

    asyncio.run(test())
    assert house.swap.report
    assert (house.swap.report.outcome, house.swap.report.broke_off) == ("stopped", Phase.TRYING)
    assert (ended(house).decision, ended(house).decided_by, ended(house).replica) == ("stopped", "bob", "one/1")
    assert house.registry.read().active == house.one
    assert sample(house, "trial_share", mode="canary") == 0
    assert sample(house, "swaps_total", outcome="stopped", phase="trying") == 1


def test_a_promoted_candidate_serves_on_the_engine_that_was_tried(house: House) -> None:
    loaded: list[CheckpointId] = []

    async def load(pair: Pair) -> Router:
        loaded.append(pair.checkpoint)
        return await house.load(pair)

    house.swap = house.swapping(load)

    async def test() -> None:
        async with on_trial(house, Plan("canary", 0.5)) as (replica, task):
            for name in IDS:
                await asked(house, name)
            replica.promote(house.two, "bob")
            with pytest.raises(ActivationRefused, match="promoted already, by bob"):
                replica.stop(house.two, "eve")
            assert (await task).outcome == "active"
            assert (await house.ask())[0] == house.two

    asyncio.run(test())
    assert loaded == [house.two]
    assert house.registry.read().active == house.two
    evidence = ended(house)
    assert (evidence.decision, evidence.verdict, evidence.active) == ("promoted", Verdict.HOLD, house.one)
    assert evidence.stages[0].candidate.requests + evidence.stages[0].active.requests == len(IDS)
    assert sample(house, "trials_total", decision="promoted") == 1


def test_the_policy_takes_a_candidate_back_at_its_first_violation(house: House) -> None:
    async def broken(task: Task) -> Decoded:  # noqa: ARG001
        return Decoded((), ())

    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)) as (_, task):
            house.engines[house.two].decode = broken  # type: ignore[method-assign]
            with pytest.raises(EngineFailed):
                await asked(house, "review-1")
            with pytest.raises(TrialEnded, match=r"rejected by policy: violations: 1 violation$"):
                await task
            assert (await asked(house, "review-1"))[0] == house.one

    asyncio.run(test())
    evidence = ended(house)
    assert (evidence.decision, evidence.decided_by, evidence.verdict) == ("rejected", "policy", Verdict.REJECT)
    assert evidence.policy == Policy().model_dump(mode="json")
    assert sample(house, "trial_requests_total", arm="candidate", outcome="violation") == 1


def test_the_policy_promotes_where_it_may_and_all_is_shown(house: House) -> None:
    rules = Rules(Policy(requests=5, promotes=True, latency_ratio=1e9))

    async def test() -> None:
        async with on_trial(house, Plan("canary", 0.5), rules) as (_, task):
            for name in IDS:
                await asked(house, name)
            assert (await task).outcome == "active"

    asyncio.run(test())
    assert (ended(house).decision, ended(house).decided_by) == ("promoted", "policy")
    assert all(finding.verdict is Verdict.PROMOTE for finding in ended(house).findings)


def test_an_engine_that_dies_on_trial_is_given_up_and_customers_go_to_the_active_pair(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)) as (_, task):
            house.engines[house.two].is_alive = False
            assert (await asked(house, "review-1"))[0] == house.one
            with pytest.raises(TrialEnded, match="its engine has died"):
                await task

    asyncio.run(test())


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_is_over_nothing_and_up_to_all(share: float) -> None:
    with pytest.raises(ValueError, match="is not over 0 and up to 1"):
        Plan("canary", share)


def test_worse_on_the_golden_comments_it_gets_no_request(house: House) -> None:
    async def test() -> None:
        answer = await house.routers[house.one].aside(COMMENT)
        rules = Rules(Policy(), (LabelledComment("1", COMMENT, spans_of(answer)),))
        async with on_trial(house, Plan("canary", 1.0), rules) as (_, task):
            with pytest.raises(TrialEnded, match=r"rejected by policy: golden: .* of 1 comments right, 100\.00%"):
                await task

    asyncio.run(test())
    evidence = ended(house)
    assert evidence.golden
    assert evidence.golden.active == 1 > evidence.golden.candidate
    assert evidence.stages[0].candidate.requests == 0


def test_another_activation_meanwhile_is_refused_and_says_what_to_do(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 0.1)) as (replica, _):
            for work in (
                replica.activate(ActivationRequest(house.two, "eve")),
                replica.activate(ActivationRequest(None, "eve")),
            ):
                with pytest.raises(ActivationRefused, match=r"is being activated \(trying\); promote or stop it first"):
                    await work

    asyncio.run(test())


def test_what_is_not_on_trial_is_neither_promoted_nor_stopped(house: House) -> None:
    replica = house.replica()
    with pytest.raises(ActivationRefused, match=f"{house.two} is not on trial at one/1"):
        replica.promote(house.two, "bob")
    with pytest.raises(ActivationRefused, match="is not on trial"):
        replica.stop(house.two, "bob")


def test_a_trial_holds_no_other_replica_up(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 0.1)) as (replica, _):
            assert replica.lease.look() is None

    asyncio.run(test())


def test_a_promotion_whose_evidence_cannot_be_kept_is_none(house: House, tmp_path: Path) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)) as (replica, task):
            root_of(house.registry).rename(tmp_path / "gone")
            replica.promote(house.two, "bob")
            with pytest.raises(RegistryFailed):
                await task

    asyncio.run(test())
    house.serves_the_old_pair_and_says("No such file")
    assert not root_of(house.registry).exists()


def test_a_rejection_does_not_wait_for_the_registry(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)) as (_, task):
            root_of(house.registry).rename(tmp_path / "gone")
            house.engines[house.two].is_alive = False
            with pytest.raises(TrialEnded):
                await task

    asyncio.run(test())
    assert '"decision":"rejected"' in caplog.text


def test_a_service_that_stops_ends_the_trial_and_says_so(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)):
            pass

    asyncio.run(test())
    assert house.engines[house.two].closed
    assert (ended(house).decision, ended(house).decided_by) == ("stopped", "service")


def test_a_trial_does_not_last_for_ever(house: House) -> None:
    house.swap = house.swapping(house.load, trying=0.5)

    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)) as (_, task):
            await asyncio.wait([task])

    asyncio.run(test())
    house.serves_the_old_pair_and_says("trying took longer than 0.5 s")
    assert ended(house).decision == "stopped"


def test_of_trials_that_end_at_once_each_is_kept(house: House) -> None:
    async def test() -> None:
        async with on_trial(house, Plan("canary", 1.0)):
            pass

    for _ in range(3):
        asyncio.run(test())
    assert len(kept(house.registry)) == 3


def test_where_there_is_one_engine_no_trial_is_begun(house: House) -> None:
    replica = house.replica(house.swapping(None))
    with pytest.raises(ActivationRefused, match="in_place has one"):
        asyncio.run(replica.try_out(ActivationRequest(house.two, "ada"), Plan("canary", 0.1)))
    assert house.phases == []
