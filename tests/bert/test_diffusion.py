"""The bound, on models whose likelihood can be computed by hand: above it, and wrong weights are no bound."""

import itertools
import math

import pytest
import torch
from mocks import DoubleOnlyOnCPU, L, Oracle, V, network

from course_utils.bert.diffusion import (
    MaskedDiffusion,
    bound,
    diffusion_loss,
    draw_masks,
    weighted_losses,
)
from course_utils.gpt import GPTConfig

pytestmark = pytest.mark.usefixtures("one_thread")

TEXT = torch.tensor([2, 0, 1, 1])


@torch.no_grad()
def of_each_order(model, text, prefix=0):
    """Minus log p of the text, in nats, for each order in which its tokens can be named."""
    nats = []
    for order in itertools.permutations(range(prefix, len(text))):
        ids, total = text.clone(), 0.0
        ids[prefix:] = model.mask_id
        for place in order:
            total -= model(ids[None])[0, place].double().log_softmax(-1)[text[place]].item()
            ids[place] = text[place]
        nats.append(total)
    return torch.tensor(nats, dtype=torch.float64)


def likelihood(orders):
    """Minus log of the mean over the orders: what the model gives to the text, whichever it was named in."""
    return -(torch.logsumexp(-orders, 0) - math.log(len(orders))).item()


def estimate(losses):
    return losses.mean().item(), (losses.std() / len(losses) ** 0.5).item()


def test_the_bound_is_the_mean_over_orders_and_above_the_likelihood():
    model = network()
    orders = of_each_order(model, TEXT)
    exact = orders.mean().item()
    assert exact > likelihood(orders) + 0.05  # orders differ, so Jensen's inequality is strict
    found = bound(model, TEXT, draws=500)
    assert abs(found.bits * L * math.log(2) - exact) < 4 * found.error * L * math.log(2)
    with torch.no_grad():
        rows = TEXT.expand(40_000, -1)
        mean, error = estimate(weighted_losses(model, rows, draw_masks(40_000, L)))
    assert abs(mean - exact) < 4 * error and mean > likelihood(orders) + 2 * error


def test_nothing_becomes_float64_where_the_model_computes():
    """An Apple GPU has no float64."""
    with DoubleOnlyOnCPU() as seen:
        bound(network(), TEXT)
    assert seen.doubled == 1


def test_where_all_orders_agree_the_bound_is_the_likelihood():
    model = Oracle()
    expected = -model.joint[tuple(TEXT.tolist())].log().item()
    orders = of_each_order(model, TEXT)
    assert torch.allclose(orders, torch.full_like(orders, expected))
    found = bound(model, TEXT, draws=500)
    assert abs(found.bits * L * math.log(2) - expected) < 4 * found.error * L * math.log(2)


def test_a_prefix_is_read_and_not_scored():
    model = network()
    exact = of_each_order(model, TEXT, prefix=2).mean().item()
    rows = TEXT.expand(4000, -1)
    with torch.no_grad():
        mean, error = estimate(weighted_losses(model, rows, draw_masks(4000, L, 2), prefix=2))
    assert abs(mean - exact) < 4 * error


def by_rate(weight, at_least_one=False):
    """The other form: a rate t, each token masked by itself, the sum of losses weighed."""

    def losses(model, rows, generator):
        t = torch.rand(len(rows), 1, generator=generator)
        masked = torch.rand(rows.shape, generator=generator) < t
        if at_least_one:
            masked[~masked.any(1), 0] = True
        return weighed(model, rows, masked, weight(t[:, 0], masked.sum(1)))

    return losses


def by_number(weight):
    def losses(model, rows, generator):
        masked = draw_masks(*rows.shape, generator=generator)
        return weighed(model, rows, masked, weight(None, masked.sum(1)))

    return losses


def weighed(model, rows, masked, weights, shown=None):
    logits = model(rows.masked_fill(masked, model.mask_id) if shown is None else shown)
    losses = -logits.log_softmax(-1).gather(-1, rows[..., None])[..., 0]
    return ((losses * masked).sum(1) * weights).double()


def with_other_tokens(model, rows, generator):
    """The rule of 80/10/10 in the place of [MASK] alone: a loss is taken where the token may be seen."""
    masked = draw_masks(*rows.shape, generator=generator)
    act = torch.rand(rows.shape, generator=generator)
    shown = rows.masked_fill(masked & (act < 0.8), model.mask_id)
    shown = torch.where(masked & (act >= 0.9), torch.randint(V, rows.shape, generator=generator), shown)
    return weighed(model, rows, masked, L / masked.sum(1), shown)


RULES = {
    "80/10/10": (with_other_tokens, False),
    "L / k": (by_number(lambda t, k: L / k), True),
    "1 / t": (by_rate(lambda t, k: 1 / t), True),
    "k / L": (by_number(lambda t, k: k / L), False),
    "no weight": (by_number(lambda t, k: torch.ones(len(k))), False),
    "1 / k": (by_number(lambda t, k: 1 / k), False),
    "t": (by_rate(lambda t, k: t), False),
    "1 / t, one mask at least": (by_rate(lambda t, k: 1 / t.clamp(min=0.01), at_least_one=True), False),
}


@pytest.mark.parametrize("rule", RULES)
def test_only_the_right_weights_give_the_bound(rule):
    losses, right = RULES[rule]
    model = network()
    exact = of_each_order(model, TEXT).mean().item()
    with torch.no_grad():
        mean, error = estimate(losses(model, TEXT.expand(40_000, -1), torch.Generator().manual_seed(5)))
    assert (abs(mean - exact) < 4 * error) == right


def test_numbers_of_masks_leave_less_to_chance_than_rates():
    model, errors = network(), {}
    with torch.no_grad():
        for rule in "L / k", "1 / t":
            losses = RULES[rule][0](model, TEXT.expand(40_000, -1), torch.Generator().manual_seed(5))
            errors[rule] = estimate(losses)[1]
    assert errors["L / k"] < 0.8 * errors["1 / t"]


@pytest.mark.parametrize("prefix", [0, 3])
def test_the_number_of_masks_is_even(prefix):
    masked = draw_masks(20_000, 8, prefix, torch.Generator().manual_seed(0))
    assert not masked[:, :prefix].any()
    counts = torch.bincount(masked.sum(1), minlength=9)[1 : 9 - prefix]
    assert (abs(counts - 20_000 / (8 - prefix)) <= 2).all()  # spread over the rows: nearly exact
    for k in range(1, 9 - prefix):
        rows = masked[masked.sum(1) == k].double().mean(0)[prefix:]
        assert (abs(rows - k / (8 - prefix)) < 0.06).all()
    alone = torch.cat([draw_masks(1, 8, generator=torch.Generator().manual_seed(i)) for i in range(2000)])
    assert (abs(torch.bincount(alone.sum(1), minlength=9)[1:] - 250) < 4 * 250**0.5).all()


class Even(Oracle):
    context = 8

    def __call__(self, ids):
        return torch.zeros(*ids.shape, V)


@pytest.mark.parametrize("prefix", [0, 4, 7])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 12, 16, 23])
def test_every_token_is_scored_once(length, prefix):
    found = bound(Even(), torch.zeros(length, dtype=torch.int64), prefix=prefix)
    assert found.bits == pytest.approx(math.log2(V)) and found.error == pytest.approx(0, abs=1e-7)


def test_the_training_loss_is_the_bound_a_token():
    model = network(length=4)
    full, half = (of_each_order(model, TEXT, prefix).mean().item() for prefix in (0, 2))
    torch.manual_seed(0)
    with torch.no_grad():
        losses = torch.stack([diffusion_loss(model, (TEXT.expand(64, -1),), None)[0] for _ in range(200)])
    mean, error = estimate(losses)
    assert abs(mean - (full / 4 + half / 2) / 2) < 4 * error


def test_other_bad_input():
    model = network()
    with pytest.raises(ValueError, match="reads 4 tokens at once; got 5"):
        model(torch.zeros(1, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="between 0 and 3"):
        model(torch.full((1, 2), 4))
    with pytest.raises(ValueError, match="at least one token"):
        bound(model, TEXT[:0])
    for prefix in (-1, 4, 10):
        with pytest.raises(ValueError, match=f"prefix is from 0 to 3, below .* context; got {prefix}"):
            bound(model, TEXT, prefix)
    with pytest.raises(ValueError, match="prefix is below 4; got 4"):
        draw_masks(2, 4, 4)
    with pytest.raises(ValueError, match="look left alone"):
        MaskedDiffusion(GPTConfig(V, L, 1, 2, 16, token_shift=True))
