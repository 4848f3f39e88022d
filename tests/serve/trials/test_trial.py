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
from serve.trials.evidence import read_evidence
from serve.trials.policy import TrialPolicy, TrialRules
from serve.trials.trial import TrialPlan, TrialRequest
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.gate_record import Verdict
from taxonomy.comments import LabelledComment
from taxonomy.errors import ActivationRefused, EngineFailed, RegistryFailed, TrialEnded
from taxonomy.labels import CheckpointId
from tests.support.checkpoints import proven, root_of, unpublished
from tests.support.trials import IDS, answered, evidence_of, on_trial, sample
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints, until

pytestmark = pytest.mark.usefixtures("judged_often")


async def test_a_canary_gets_its_share_and_each_answer_is_of_the_pair_that_it_names(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("canary", 0.5)) as (replica, _):
        answers = [await answered(two, name) for name in IDS]
        assert answers == [await answered(two, name) for name in IDS]
        assert {name for name, _ in answers} == {two.first, two.second}
        assert replica.trial
        (stage,) = replica.trial.stages
        taken = sum(name == two.second for name, _ in answers)
        assert (stage.candidate.requests, stage.active.requests) == (2 * taken, 2 * (len(IDS) - taken))
        assert sample(two, "trial_requests_total", arm="candidate", outcome="answered") == 2 * taken
        assert sample(two, "trial_share", mode="canary") == 0.5
        for pair, answer in answers:
            assert answer == await two.routers[pair].aside(COMMENT)


async def test_who_has_no_name_is_answered_by_the_active_pair(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("canary", 1.0)):
        assert (await two.ask())[0] == two.first
        assert (await answered(two, "review-1"))[0] == two.second


async def test_it_is_loaded_checked_and_verified_before_it_gets_anything(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("canary", 1.0)):
        before = [Phase.RESOLVING, Phase.CHECKING, Phase.LOADING, Phase.WARMING, Phase.VERIFYING, Phase.TRYING]
        assert two.phases == before


async def test_without_the_gate_it_is_not_tried_unless_an_admin_takes_it_on_by_name(
    two: TwoCheckpoints, tmp_path: Path
) -> None:
    third = (await proven(unpublished(tmp_path / "3", 3), two.settings, gate=None)).version
    two.registry.add(tmp_path / "3", bundled_taxonomy(), "test")

    replica = two.replica()
    with pytest.raises(ActivationRefused, match="has no gate record"):
        await replica.try_out(TrialRequest(third, "ada", TrialPlan("canary", 0.1)))
    task = asyncio.create_task(
        replica.try_out(TrialRequest(third, "ada", TrialPlan("canary", 0.1), without_gate="Ada"))
    )
    await until(lambda: two.activator.phase is Phase.TRYING)
    replica.stop(third, "ada")
    with pytest.raises(TrialEnded):
        await task
    assert (evidence_of(two).candidate, evidence_of(two).without_gate) == (third, "Ada")


async def test_a_stopped_trial_ends_what_it_has_begun_and_leaves_the_active_pair(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("canary", 1.0)) as (replica, task):
        engine = two.engines[two.second]
        engine.go_on.clear()
        request = asyncio.create_task(answered(two, "review-1"))
        await asyncio.sleep(0)
        replica.stop(two.second, "bob")
        await until(lambda: two.activator.phase is Phase.RETURNING)
        assert (await answered(two, "review-1"))[0] == two.first
        assert not engine.closed
        engine.go_on.set()
        assert (await request)[0] == two.second
        with pytest.raises(TrialEnded, match="stopped by bob"):
            await task
        assert engine.closed
    assert two.activator.activation
    assert (two.activator.activation.outcome, two.activator.activation.broke_off) == ("stopped", Phase.TRYING)
    assert (evidence_of(two).decision, evidence_of(two).decided_by, evidence_of(two).replica) == (
        "stopped",
        "bob",
        "one/1",
    )
    assert two.registry.read().active == two.first
    assert sample(two, "trial_share", mode="canary") == 0
    assert sample(two, "activations_total", outcome="stopped", phase="trying") == 1


async def test_a_promoted_candidate_serves_on_the_engine_that_was_tried(two: TwoCheckpoints) -> None:
    loaded: list[CheckpointId] = []

    async def load(pair: Pair) -> Router:
        loaded.append(pair.checkpoint)
        return await two.load(pair)

    two.activator = two.activator_on(load)

    async with on_trial(two, TrialPlan("canary", 0.5)) as (replica, task):
        for name in IDS:
            await answered(two, name)
        replica.promote(two.second, "bob")
        with pytest.raises(ActivationRefused, match="promoted already, by bob"):
            replica.stop(two.second, "eve")
        assert (await task).outcome == "active"
        assert (await two.ask())[0] == two.second
    assert loaded == [two.second]
    assert two.registry.read().active == two.second
    evidence = evidence_of(two)
    assert (evidence.decision, evidence.verdict, evidence.active) == ("promoted", Verdict.HOLD, two.first)
    assert evidence.stages[0].candidate.requests + evidence.stages[0].active.requests == len(IDS)
    assert sample(two, "trials_total", decision="promoted") == 1


async def test_the_policy_takes_a_candidate_back_at_its_first_violation(two: TwoCheckpoints) -> None:
    async def broken(task: Task) -> Decoded:  # noqa: ARG001
        return Decoded((), ())

    async with on_trial(two, TrialPlan("canary", 1.0)) as (_, task):
        two.engines[two.second].decode = broken  # type: ignore[method-assign]
        with pytest.raises(EngineFailed):
            await answered(two, "review-1")
        with pytest.raises(TrialEnded, match=r"rejected by policy: violations: 1 violation$"):
            await task
        assert (await answered(two, "review-1"))[0] == two.first
    evidence = evidence_of(two)
    assert (evidence.decision, evidence.decided_by, evidence.verdict) == ("rejected", "policy", Verdict.REJECT)
    assert evidence.policy == TrialPolicy()
    assert sample(two, "trial_requests_total", arm="candidate", outcome="violation") == 1


async def test_the_policy_promotes_where_it_may_and_all_is_shown(two: TwoCheckpoints) -> None:
    rules = TrialRules(TrialPolicy(requests=5, promotes=True, latency_ratio=1e9))

    async with on_trial(two, TrialPlan("canary", 0.5), rules) as (_, task):
        for name in IDS:
            await answered(two, name)
        assert (await task).outcome == "active"
    assert (evidence_of(two).decision, evidence_of(two).decided_by) == ("promoted", "policy")
    assert all(finding.verdict is Verdict.PROMOTE for finding in evidence_of(two).findings)


async def test_an_engine_that_dies_on_trial_is_given_up_and_customers_go_to_the_active_pair(
    two: TwoCheckpoints,
) -> None:
    async with on_trial(two, TrialPlan("canary", 1.0)) as (_, task):
        two.engines[two.second].is_alive = False
        assert (await answered(two, "review-1"))[0] == two.first
        with pytest.raises(TrialEnded, match="its engine has died"):
            await task


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_is_over_nothing_and_up_to_all(share: float) -> None:
    with pytest.raises(ValueError, match="is not over 0 and up to 1"):
        TrialPlan("canary", share)


async def test_worse_on_the_golden_comments_it_gets_no_request(two: TwoCheckpoints) -> None:
    answer = await two.routers[two.first].aside(COMMENT)
    rules = TrialRules(TrialPolicy(), (LabelledComment("1", COMMENT, spans_of(answer)),))
    async with on_trial(two, TrialPlan("canary", 1.0), rules) as (_, task):
        with pytest.raises(TrialEnded, match=r"rejected by policy: golden: .* of 1 comments right, 100\.00%"):
            await task
    evidence = evidence_of(two)
    assert evidence.golden
    assert evidence.golden.active == 1 > evidence.golden.candidate
    assert evidence.stages[0].candidate.requests == 0


async def test_another_activation_meanwhile_is_refused_and_says_what_to_do(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("canary", 0.1)) as (replica, _):
        for work in (
            replica.activate(ActivationRequest(two.second, "eve")),
            replica.activate(ActivationRequest(None, "eve")),
        ):
            with pytest.raises(ActivationRefused, match=r"is being activated \(trying\); promote or stop it first"):
                await work


def test_what_is_not_on_trial_is_neither_promoted_nor_stopped(two: TwoCheckpoints) -> None:
    replica = two.replica()
    with pytest.raises(ActivationRefused, match=f"{two.second} is not on trial at one/1"):
        replica.promote(two.second, "bob")
    with pytest.raises(ActivationRefused, match="is not on trial"):
        replica.stop(two.second, "bob")


async def test_a_trial_holds_no_other_replica_up(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("canary", 0.1)) as (replica, _):
        assert await replica.lease_holder() is None


async def test_a_promotion_whose_evidence_cannot_be_kept_is_none(two: TwoCheckpoints, tmp_path: Path) -> None:
    async with on_trial(two, TrialPlan("canary", 1.0)) as (replica, task):
        root_of(two.registry).rename(tmp_path / "gone")
        replica.promote(two.second, "bob")
        with pytest.raises(RegistryFailed):
            await task
    await two.serves_the_old_pair_and_says("No such file")
    assert not root_of(two.registry).exists()


async def test_a_rejection_does_not_wait_for_the_registry(
    two: TwoCheckpoints, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_trial(two, TrialPlan("canary", 1.0)) as (_, task):
        root_of(two.registry).rename(tmp_path / "gone")
        two.engines[two.second].is_alive = False
        with pytest.raises(TrialEnded):
            await task
    assert '"decision":"rejected"' in caplog.text


async def test_a_service_that_stops_ends_the_trial_and_says_so(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("canary", 1.0)):
        pass
    assert two.engines[two.second].closed
    assert (evidence_of(two).decision, evidence_of(two).decided_by) == ("stopped", "service")


async def test_a_trial_does_not_last_for_ever(two: TwoCheckpoints) -> None:
    two.activator = two.activator_on(two.load, trying=0.5)

    async with on_trial(two, TrialPlan("canary", 1.0)) as (_, task):
        await asyncio.wait([task])
    await two.serves_the_old_pair_and_says("trying took longer than 0.5 s")
    assert evidence_of(two).decision == "stopped"


async def test_of_trials_that_end_at_once_each_is_kept(two: TwoCheckpoints) -> None:
    async def test() -> None:
        async with on_trial(two, TrialPlan("canary", 1.0)):
            pass

    for _ in range(3):
        await test()
    assert len(read_evidence(two.registry)) == 3


async def test_where_there_is_one_engine_no_trial_is_begun(two: TwoCheckpoints) -> None:
    replica = two.replica(two.activator_on(None))
    with pytest.raises(ActivationRefused, match="in_place has one"):
        await replica.try_out(TrialRequest(two.second, "ada", TrialPlan("canary", 0.1)))
    assert two.phases == []
