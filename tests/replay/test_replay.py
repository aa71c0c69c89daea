"""The curve that `tierway eval` draws of scores is the one that the gateway follows: the same rows kept, the same quality, the same bill."""
import pytest
import replay
from upstreams import BIG_USAGE, Upstreams

SHARES = {"none": (0.2, 0.5, 0.8), "made": (0.3, 0.7)}
CHANGES = {"none": replay.without_logprobs, "made": replay.with_logprobs}


class World:
    """Rows, with log-probabilities or without, at some thresholds."""

    def __init__(self, logprobs):
        self.rows = [CHANGES[logprobs](row) for row in replay.read([replay.FIXTURE])]
        self.confidences = replay.score(self.rows)
        with Upstreams(self.rows) as upstreams:
            at = replay.thresholds(self.confidences, SHARES[logprobs])
            self.done = [replay.replay(self.rows, upstreams, threshold) for threshold in at]
        self.sets = dict.fromkeys(row["set"] for row in self.rows)

    def of(self, name):
        return [row for row in self.rows if row["set"] == name]

    def known(self, row):
        """The row's confidence; a veto is the gateway's own."""
        return 0.0 if self.done[0].vetoed(row) else self.confidences[row["id"]]


@pytest.fixture(scope="module", params=SHARES)
def world(request):
    return World(request.param)


def test_there_is_something_to_see(world):
    assert len(world.rows) == 150 and len(world.done) >= 2
    for done in world.done:
        assert 0.05 < replay.measured(world.rows, done)[1] < 0.95
    assert sum(world.done[0].vetoed(row) for row in world.rows) < 15


def test_row_by_row_what_the_scores_say(world):
    """In every dialect, whole and streamed; and no byte of a draft that was not kept."""
    wrong = [what for done in world.done for what in replay.differences(world.rows, world.confidences, done)]
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:15])


def test_quality_share_and_cost_are_the_offline_ones(world):
    for done in world.done:
        for name in world.sets:
            rows = world.of(name)
            known = {row["id"]: world.known(row) for row in rows}
            assert replay.measured(rows, done) == pytest.approx(replay.offline(rows, known, done.threshold), rel=1e-9)


def test_the_area_under_the_measured_curve_is_that_of_eval(world):
    """Scores that are no finer than the thresholds: how many of them a row passed."""
    levels = {row["id"]: float(sum(done.kept(row) for done in world.done)) for row in world.rows}
    found = replay.evaluate(world.rows, levels)
    for name in world.sets:
        rows = world.of(name)
        apgr, cost_apgr = replay.areas(rows, [replay.measured(rows, done) for done in world.done])
        line = found[name]["cascade"]
        assert line["apgr"]["value"] == pytest.approx(apgr, abs=1e-9)
        assert line["cost_apgr"]["value"] == pytest.approx(cost_apgr, abs=1e-9)


def test_both_attempts_are_counted(world):
    for done in world.done:
        usage = {row["id"]: row["small"]["response"]["usage"] for row in world.rows}
        small = sum((usage[name]["prompt_tokens"] + usage[name]["completion_tokens"]) * times for name, times in done.asked["small"].items())
        assert done.tokens["big"] == sum(BIG_USAGE) * sum(done.asked["big"].values())
        # a draft that was dropped in mid-stream has told no usage
        assert 0.9 * small < done.tokens["small"] <= small


def test_log_probabilities_are_asked_for_and_read(world):
    told = any(row["small"]["response"]["choices"][0]["logprobs"] for row in world.rows)
    for done in world.done:
        assert done.with_logprobs == (len(world.rows) * len(replay.WAYS) if told else 0)
