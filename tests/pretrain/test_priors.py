"""The priors written as tensor code: their labels follow their probabilities, and their rules are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tabgen.pretrain.draws import REDRAWS, Draw, Drawn, cut_by_rank, flip, largest
from tabgen.pretrain.levels import _codes
from tabgen.pretrain.rules import KINDS, _relevant_count
from tabgen.pretrain.tasks import LEARNABLE, PRIORS, explained, learnable_tasks

OURS = ["mechanisms", "rules", "levels", "collinear"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def auc(model: RandomForestClassifier | LogisticRegression, x: torch.Tensor, y: torch.Tensor) -> float:
    """One-vs-rest ROC-AUC on the second half of the rows, over the classes that both halves have."""
    half = len(y) // 2
    labels = y.numpy()
    model.fit(x[:half].numpy(), labels[:half])
    scores = model.predict_proba(x[half:].numpy())
    found = [
        roc_auc_score(labels[half:] == c, scores[:, i])
        for i, c in enumerate(model.classes_)
        if 0 < (labels[half:] == c).sum() < len(labels) - half
    ]
    return float(np.mean(found))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shape", [(2, 60, 1, 2), (4, 60, 2, 3), (4, 200, 9, 2), (3, 300, 60, 10)])
def test_tasks_are_whole_whatever_their_shape(name: str, shape: tuple[int, int, int, int]) -> None:
    b, n, f, k = shape
    source = generator()
    for _ in range(12):
        x, y, discrete, p = PRIORS[name](b, n, f, k, source)
        assert (x.shape, y.shape, discrete.shape, p.shape) == ((b, n, f), (b, n), (b, f), (b, n, k))
        assert (x.dtype, y.dtype, discrete.dtype) == (torch.float32, torch.int64, torch.bool)
        assert torch.isfinite(x).all()
        assert 0 <= int(y.min()) <= int(y.max()) < k
        torch.testing.assert_close(p.sum(2), torch.ones(b, n), atol=1e-4, rtol=0)
        assert p.min() >= 0
        codes = x.transpose(1, 2)[discrete]
        assert torch.equal(codes, codes.round())
        assert (codes >= 0).all()


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("k", [2, 5])
def test_labels_are_drawn_from_the_probabilities(name: str, k: int) -> None:
    """The labels' log-likelihood is that of labels drawn from the probabilities, and no cell is impossible."""
    source, gaps = generator(1), []
    for _ in range(60):
        _, y, _, p = PRIORS[name](4, 150, 6, k, source)
        right = p.gather(2, y.unsqueeze(2)).squeeze(2)
        gaps.append((right - p.square().sum(2)).mean(1))  # its expectation is 0 if y comes from p
    gap = torch.cat(gaps)
    of_redraws = 1 / REDRAWS  # what probabilities that are shares of so many draws add to their squares at most
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / len(gap) ** 0.5 + of_redraws
    assert float(gap.mean()) > -of_redraws


def test_cutting_by_rank_knows_the_chance_of_every_class() -> None:
    draw = Draw(generator(2))
    score = draw.normal(1, 400)
    y, p = cut_by_rank(draw, score, torch.full((1, 1), 0.5), 4)
    assert torch.equal(torch.unique(y), torch.arange(4))
    noisy = score[0, :, None] + 0.5 * draw.normal(400, 4000)
    order = torch.stack([score[0][y[0] == c].mean() for c in range(4)]).argsort()  # classes are intervals of the score
    below = p[0][:, order].cumsum(1)[:, :3]
    inside = (below > 0.02) & (below < 0.98)
    cut = torch.stack([(score[0] + 0.5 * torch.special.ndtri(below[:, i]))[inside[:, i]].median() for i in range(3)])
    share = torch.stack([(noisy < c).float().mean(1) for c in cut], dim=1)
    torch.testing.assert_close(share, below, atol=0.04, rtol=0)
    torch.testing.assert_close(torch.bincount(y[0], minlength=4) / 400, p[0].mean(0), atol=0.05, rtol=0)


def test_the_largest_score_wins_as_often_as_the_probabilities_say() -> None:
    draw = Draw(generator(3))
    scores = torch.tensor([[[1.0, 0.0, -9.0]]]).expand(1, 4000, 3)
    y, p = largest(draw, scores, torch.ones(1, 1, 1))
    first = torch.special.ndtr(torch.tensor(1 / 2**0.5))
    assert float((y == 0).float().mean()) == pytest.approx(float(first), abs=0.03)
    assert float(p[..., 0].mean()) == pytest.approx(float(first), abs=0.01)
    assert float(p[..., 2].max()) == 0.0


def test_flipped_labels_and_their_probabilities_agree() -> None:
    draw = Draw(generator(4))
    certain = torch.tensor([1.0, 0.0]).expand(1, 4000, 2)
    y, p = flip(draw, torch.zeros(1, 4000, dtype=torch.int64), certain, torch.full((1, 1), 0.2))
    assert float(y.float().mean()) == pytest.approx(0.1, abs=0.02)
    torch.testing.assert_close(p[0, 0], torch.tensor([0.9, 0.1]))


# rules


def columns(draw: Draw, b: int, n: int, f: int) -> tuple[torch.Tensor, torch.Tensor]:
    return draw.normal(b, n, f), torch.zeros(b, f, dtype=torch.bool)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("k", [2, 4])
def test_a_rule_can_be_learned_from_enough_rows(kind: str, k: int) -> None:
    draw = Draw(generator(5))
    found = []
    for _ in range(4):
        x, _, y, _ = KINDS[kind][0](draw, *columns(draw, 2, 1500, 4), k)
        found += [auc(RandomForestClassifier(60, random_state=0), x[t], y[t]) for t in range(2)]
    assert np.mean(found) > 0.88
    assert max(found) > 0.97


@pytest.mark.parametrize("k", [2, 3])
def test_no_column_of_a_parity_tells_anything_alone(k: int) -> None:
    draw = Draw(generator(6))
    for _ in range(6):
        x, _, y, _ = KINDS["parity"][0](draw, *columns(draw, 2, 6000, 5), k)
        for task in range(2):
            shares = np.bincount(y[task], minlength=k) / 6000
            assert shares.max() - shares.min() < 0.15
            for column in range(5):
                half = x[task, :, column] > x[task, :, column].median()
                if 0.1 < half.float().mean() < 0.9:
                    counts = np.array([[int(((y[task] == c) & (half == h)).sum()) for c in range(k)] for h in (0, 1)])
                    assert np.abs(counts / counts.sum(1, keepdims=True) - shares).max() < 0.12


def test_relevant_columns_are_a_tenth_to_a_half_of_many_and_two_of_few() -> None:
    draw = Draw(generator(7))
    of_two, of_forty = ([_relevant_count(draw, f) for _ in range(300)] for f in (2, 40))
    assert set(of_two) == {2}
    assert min(of_forty) == 2
    assert max(of_forty) == 8


def test_columns_outside_the_rule_do_not_matter() -> None:
    """A tree asks no more columns than are relevant: the others can be drawn anew."""
    draw = Draw(generator(8))
    x, _, y, _ = KINDS["tree"][0](draw, *columns(draw, 1, 4000, 30), 2)
    forest = RandomForestClassifier(100, random_state=0).fit(x[0].numpy(), y[0].numpy())
    order = forest.feature_importances_.argsort()[::-1]
    few = x[0][:, order[:8].copy()]
    assert auc(RandomForestClassifier(100, random_state=0), few, y[0]) > 0.97
    assert auc(RandomForestClassifier(100, random_state=0), x[0][:, order[8:].copy()], y[0]) < 0.56


# levels


def test_columns_of_levels_have_3_to_100_of_them_and_unequal_shares() -> None:
    codes = _codes(Draw(generator(9)), 8, 3000, 10, 100)
    counts = [torch.bincount(codes[t, :, c]) for t in range(8) for c in range(10)]
    sizes = [int((count > 0).sum()) for count in counts]
    assert min(sizes) <= 5
    assert 60 < max(sizes) <= 100
    assert max(float(count.max()) / 3000 for count in counts) > 0.4
    first = [int(count.argmax()) for count in counts]
    assert len(set(first)) > 10  # the commonest level is not always code 0


def test_a_few_columns_have_effects_and_the_codes_order_says_nothing() -> None:
    source = generator(10)
    related, slopes = [], []
    for _ in range(8):
        x, y, discrete, _ = PRIORS["levels"](2, 4000, 10, 2, source)
        for task in range(2):
            found = 0
            for column in torch.nonzero(discrete[task]).flatten():
                code = x[task, :, column].long()
                table = np.array([np.bincount(code[y[task] == c], minlength=int(code.max()) + 1) for c in range(2)])
                table = table[:, table.sum(0) >= 10]
                if table.shape[1] < 2 or table.sum(1).min() == 0:
                    continue
                if chi2_contingency(table).pvalue < 1e-6:
                    found += 1
                    slopes.append(float(np.corrcoef(np.arange(table.shape[1]), table[1] / table.sum(0))[0, 1]))
            related.append(found)
    assert 1 <= np.mean(related) <= 5
    assert abs(np.mean(slopes)) < 0.35


# collinear


def test_contrasts_are_seen_by_all_columns_together_and_by_none_alone() -> None:
    source = generator(11)
    together, alone = [], []
    for _ in range(30):
        x, y, discrete, p = PRIORS["collinear"](1, 2000, 6, 2, source)
        z = x[0] - x[0].mean(0)
        correlations = torch.corrcoef(z.T).abs().fill_diagonal_(0)
        if discrete.any() or correlations.max() < 0.95 or not 0.2 < p[0, :, 0].mean() < 0.8:
            continue
        together.append(auc(LogisticRegression(max_iter=2000, C=1e4), z / z.std(0), y[0]))
        single = [roc_auc_score(y[0].numpy(), x[0, :, c].numpy()) for c in range(6)]
        alone.append(max(max(s, 1 - s) for s in single))
    assert len(together) >= 5
    assert np.mean(together) > 0.88
    assert np.median(np.array(together) - np.array(alone)) > 0.15


# learnability


def test_the_explained_share_is_0_for_coins_and_1_for_certainty() -> None:
    coins = torch.full((1, 50, 2), 0.5)
    certain = torch.eye(2)[torch.arange(50) % 2].unsqueeze(0)
    one_class = torch.eye(2)[torch.zeros(50, dtype=torch.int64)].unsqueeze(0)
    found = explained(torch.cat([coins, certain, one_class]))
    torch.testing.assert_close(found, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_tasks_that_cannot_be_learned_are_dropped_unless_there_are_no_others() -> None:
    def prior(b: int, n: int, f: int, k: int, source: torch.Generator) -> Drawn:
        y = torch.randint(0, k, (b, n), generator=source)
        p = torch.nn.functional.one_hot(y, k).float()
        p[::2] = 1 / k  # every second task is a coin
        return Drawn(torch.rand((b, n, f), generator=source), y, torch.zeros((b, f), dtype=torch.bool), p)

    def coins(b: int, n: int, f: int, k: int, source: torch.Generator) -> Drawn:
        drawn = prior(b, n, f, k, source)
        return drawn._replace(probabilities=torch.full_like(drawn.probabilities, 1 / k))

    kept = learnable_tasks(prior, 7, 40, 3, 2, generator(12))
    assert len(kept.x) == 7
    assert (explained(kept.probabilities) >= LEARNABLE).all()
    assert torch.equal(kept.probabilities.argmax(2), kept.y)  # the parts of a task stay together
    assert len(learnable_tasks(coins, 7, 40, 3, 2, generator(12)).x) == 7
