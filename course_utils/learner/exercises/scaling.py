"""The exercises of chapter 11 on counting and planning, in NumPy; those on fitting a law are in `fitting`."""

import numpy as np

from course_utils.learner.checks.engine import exercise


def shape_inputs(generator, case):
    """Few tokens, layers and features at first; no size is a multiple of another that would hide a slip."""
    layers, d_model = 1 + case % 4, 2 + 3 * case
    return 5 + 7 * case, layers, d_model, d_model + 3 + case % 5


@exercise("11.1", "parameters, with and without embeddings", dots=1, minutes=6, inputs=shape_inputs)
def count_parameters(vocabulary: int, layers: int, d_model: int, d_ff: int) -> tuple[int, int]:
    """Return how many parameters chapter 8's GPT has: all of them, and those without its embeddings.

    A layer has four matrices d_model x d_model for attention, three d_model x d_ff for SwiGLU, and two norms
    with a gain for each feature; one norm more stands after the last layer. There are no biases. The
    embedding, a row for each token of the vocabulary, is the head as well: one matrix, counted once.
    """
    layer = 4 * d_model * d_model + 3 * d_model * d_ff + 2 * d_model
    rest = layers * layer + d_model
    return rest + vocabulary * d_model, rest


count_parameters.slips("""
Embedding and head are one matrix here: you counted it twice.
    rest + vocabulary * d_model → rest + 2 * vocabulary * d_model
The first number has all parameters: the embedding belongs to them.
    rest + vocabulary * d_model, rest → rest, rest - vocabulary * d_model
An embedding has d_model numbers for each token, not one.
    rest + vocabulary * d_model → rest + vocabulary
The second number leaves the embedding out.
    vocabulary * d_model, rest → vocabulary * d_model, rest + vocabulary * d_model
All first, then those without embeddings: yours are the other way round.
    rest + vocabulary * d_model, rest → rest, rest + vocabulary * d_model
Attention has four matrices: the output has one, besides queries, keys and values.
    4 * d_model * d_model → 3 * d_model * d_model
SwiGLU has three matrices; two are the feed-forward layer of 2017.
    3 * d_model * d_ff → 2 * d_model * d_ff
The feed-forward width is d_ff; it need not be 4 d_model.
    3 * d_model * d_ff → 12 * d_model * d_model
The norms are missing: two in a layer, and one at the end.
    + 2 * d_model →
    layers * layer + d_model → layers * layer
The norm after the last layer is missing.
    layers * layer + d_model → layers * layer
A layer has two norms: one for attention, one for the feed-forward layer.
    + 2 * d_model → + d_model
These norms have gains alone, no biases: d_model numbers each.
    + 2 * d_model → + 4 * d_model
    layers * layer + d_model → layers * layer + 2 * d_model
That is one layer; there are several.
    layers * layer + → layer +
""")


@count_parameters.variant("a head of its own")
def count_untied(vocabulary: int, layers: int, d_model: int, d_ff: int) -> tuple[int, int]:
    """Return how many parameters there are if the head has its own matrix: all, and all but the embedding.

    All as in 11.1, but embedding and head are two matrices, vocabulary x d_model each. Only the embedding is
    looked up, so only the embedding is left out of the second number.
    """
    layer = 4 * d_model * d_model + 3 * d_model * d_ff + 2 * d_model
    rest = layers * layer + d_model + vocabulary * d_model
    return rest + vocabulary * d_model, rest


count_untied.slips("""
That answers the first version: embedding and head are one matrix there, and two here.
    → count_parameters
The head is multiplied, not looked up: it belongs to the second number as well.
    + d_model + vocabulary * d_model → + d_model
    return rest + vocabulary * d_model → return rest + 2 * vocabulary * d_model
The embedding is left out of the second number.
    vocabulary * d_model, rest → vocabulary * d_model, rest + vocabulary * d_model
All first, then those without the embedding: yours are the other way round.
    return rest + vocabulary * d_model, rest → return rest, rest + vocabulary * d_model
SwiGLU has three matrices; two are the feed-forward layer of 2017.
    3 * d_model * d_ff → 2 * d_model * d_ff
The norm after the last layer is missing.
    layer + d_model + vocabulary → layer + vocabulary
That is one layer; there are several.
    layers * layer + → layer +
""")


def block_inputs(generator, case):
    """A few tokens at first; text, width and feed-forward width all differ."""
    return 3 + 5 * case, 4 + 2 * (case % 7), 9 + 3 * (case % 11)


@exercise("11.2", "the FLOPs of a block", dots=2, minutes=8, inputs=block_inputs)
def block_flops(tokens: int, d_model: int, d_ff: int) -> int:
    """Return the multiplications and additions in which one block of a GPT is trained on one text.

    A matrix costs 2 operations for each of its weights and each token. There are four d_model x d_model for
    attention and three d_model x d_ff for SwiGLU. Besides, a query and a key cost 2 d_model for their score
    and as many for the sum of the values; every pair is computed, also what the mask hides. That is one pass
    forward; going back costs twice as much as that. Norms, softmax and additions of vectors are left out.
    """
    weights = 4 * d_model * d_model + 3 * d_model * d_ff
    forward = 2 * tokens * weights + 4 * tokens * tokens * d_model
    return 3 * forward


block_flops.slips("""
That is the pass forward alone; going back costs twice as much as that.
    return 3 * forward → return forward
Going back costs two passes, not one: a gradient for the weights and one for the inputs.
    return 3 * forward → return 2 * forward
The two passes back come on top of the one forward: that makes three.
    return 3 * forward → return 4 * forward
A weight costs a multiplication and an addition: 2, not 1.
    2 * tokens * weights → tokens * weights
    4 * tokens * tokens → 2 * tokens * tokens
Attention's own products are missing: each query meets each key.
    + 4 * tokens * tokens * d_model →
The sum of the values costs as much as the scores.
    4 * tokens * tokens * d_model → 2 * tokens * tokens * d_model
Every query meets every key: tokens², not tokens.
    4 * tokens * tokens * d_model → 4 * tokens * d_model
The mask saves nothing here: what it hides is computed first.
    4 * tokens * tokens * d_model → 2 * tokens * (tokens + 1) * d_model
A score is a sum over the d_model features of query and key.
    4 * tokens * tokens * d_model → 4 * tokens * tokens
Attention has four matrices: the output has one, besides queries, keys and values.
    4 * d_model * d_model + → 3 * d_model * d_model +
SwiGLU has three matrices; two are the feed-forward layer of 2017.
    3 * d_model * d_ff → 2 * d_model * d_ff
Those are the operations for one token; each token passes every matrix.
    2 * tokens * weights → 2 * weights
You count attention's products for the pass forward alone: the backward pass goes through them too.
    return 3 * forward → return 6 * tokens * weights + 4 * tokens * tokens * d_model
""")


@block_flops.variant("what 6ND does not see")
def share_of_attention(tokens: int, d_model: int, d_ff: int) -> float:
    """Return which share of a block's FLOPs are attention's products: what 6 a weight and token leaves out.

    Counted as in 11.2: 2 a weight and token, 4 d_model a query and key, every pair of them. Backward costs
    twice as much as forward in both, so the share is the same for training and for reading.
    """
    weights = 4 * d_model * d_model + 3 * d_model * d_ff
    pairs = 4 * tokens * tokens * d_model
    return pairs / (2 * tokens * weights + pairs)


share_of_attention.slips("""
That answers the first version: a number of operations; a share is asked for.
    → block_flops
The share is of the whole: the products belong under the line as well.
    (2 * tokens * weights + pairs) → (2 * tokens * weights)
That is the share that 6ND does see.
    return pairs → return 2 * tokens * weights
The sum of the values costs as much as the scores.
    4 * tokens * tokens → 2 * tokens * tokens
Every query meets every key: tokens², not tokens.
    tokens * tokens * d_model → tokens * d_model
The mask saves nothing here: what it hides is computed first.
    4 * tokens * tokens → 2 * tokens * (tokens + 1)
A weight costs 2 operations and a pair 4 d_model: you counted 6 against 4 d_model, training against reading.
    2 * tokens * weights + → 6 * tokens * weights +
SwiGLU has three matrices; two are the feed-forward layer of 2017.
    3 * d_model * d_ff → 2 * d_model * d_ff
""")


def law_inputs(generator, case):
    """A law whose two terms differ in all numbers, and a budget."""
    low, high = [1.2, 100, 200, 0.25, 0.25], [2.0, 600, 2500, 0.45, 0.45]
    law = [round(float(x), 3) for x in generator.uniform(low, high)]
    return law, float(f"{10 ** generator.uniform(15, 25):.2e}")


@exercise("11.6", "the best size for a budget", dots=2, minutes=10, inputs=law_inputs)
def best_size(law: list[float], flops: float) -> tuple[float, float]:
    """Return (N, D): the parameters and tokens with the least loss of all that cost 6 N D = flops.

    law is [E, A, B, alpha, beta] of L(N, D) = E + A / N^alpha + B / D^beta. N and D need not be whole.
    """
    _, a, b, alpha, beta = law
    g = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    n = g * (flops / 6) ** (beta / (alpha + beta))
    return float(n), float(flops / 6 / n)


def twenty_tokens(law, flops):
    n = (flops / 120) ** 0.5
    return float(n), float(20 * n)


best_size.slips("""
20 tokens a parameter is no law of nature: it came out of two of Hoffmann et al.'s three ways. Ask this law.
    → twenty_tokens
The size grows with beta / (alpha + beta): the slower the tokens help, the more of them it takes.
    beta / (alpha + beta)) → alpha / (alpha + beta))
The budget is 6 N D: divide it by 6 first.
    (flops / 6) ** ( → flops ** (
The budget is 6 N D: D is what is left of flops / 6.
    flops / 6 / n → flops / n
In yours the two terms of the loss are equal; at the best size alpha times the first one equals beta times the
second.
    (alpha * a / (beta * b)) → (a / b)
That is upside down: the more a small size loses (alpha A), the larger the best one.
    alpha * a / (beta * b) → beta * b / (alpha * a)
Solving for N takes the root: 1 / (alpha + beta) stands in the exponent.
    ** (1 / (alpha + beta)) →
alpha belongs to A, beta to B.
    (alpha * a / (beta * b)) → (beta * a / (alpha * b))
The parameters first, then the tokens.
    float(n), float(flops / 6 / n) → float(flops / 6 / n), float(n)
""")


@best_size.variant("half the size, the same loss")
def price_of_half(law: list[float], flops: float) -> float:
    """Return how many times the budget it takes to reach the best size's loss with half of that size.

    The best size N and its tokens D are those of 11.6, and their loss is what the budget buys. A model of
    N / 2 parameters needs more tokens for that loss; its training costs 6 times N / 2 times these. (In
    all cases here there are enough tokens for it.)
    """
    _, a, b, alpha, beta = law
    g = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    n = g * (flops / 6) ** (beta / (alpha + beta))
    left = a / n**alpha + b / (flops / 6 / n) ** beta - a / (n / 2) ** alpha
    return float(6 * n / 2 * (b / left) ** (1 / beta) / flops)


price_of_half.slips("""
That answers the first version: the best size and its tokens; what half of the size costs is asked for.
    → best_size
That is how many times the tokens. They cost half as much each: the price is 6 times N / 2 times the tokens.
    6 * n / 2 * → 6 * n *
That is the price in operations; how many times the budget is asked for.
    (1 / beta) / flops → (1 / beta)
The loss has to be the same: what the smaller size loses more, more tokens have to make up for.
    - a / (n / 2) ** alpha → - a / n**alpha
B / D^beta = rest is solved for D by the root 1 / beta.
    ** (1 / beta) / flops → / flops
The size grows with beta / (alpha + beta).
    (flops / 6) ** (beta / (alpha + beta)) → (flops / 6) ** (alpha / (alpha + beta))
""")


def serving_inputs(generator, case):
    """A law, a loss that most of the sizes can reach, tokens to be served from none to very many, sizes."""
    law, _ = law_inputs(generator, case)
    e, a, _, alpha, _ = law
    sizes = [float(f"{10**x:.3g}") for x in np.sort(generator.uniform(8, 11, size=3 + case % 5))]
    loss = round(e + a / (sizes[0] * generator.uniform(0.7, 3)) ** alpha + 0.05, 4)
    return law, loss, float(f"{10 ** generator.uniform(8, 14):.2e}"), sizes


@exercise("11.7", "past the optimum, because use costs too", dots=3, minutes=12, inputs=serving_inputs)
def cheapest_size(law: list[float], loss: float, served: float, sizes: list[float]) -> float:
    """Return the one of the sizes that reaches the loss at the least price of training and use together.

    law is [E, A, B, alpha, beta] of L(N, D) = E + A / N^alpha + B / D^beta. A size N needs so many tokens D
    that L(N, D) is the loss; sizes that never reach it are out, and one size or more does reach it. Training
    costs 6 N D, use 2 N for each of the `served` tokens.
    """
    e, a, b, alpha, beta = law
    prices = {}
    for n in sizes:
        left = loss - e - a / n**alpha
        if left > 0:
            d = (b / left) ** (1 / beta)
            prices[n] = 6 * n * d + 2 * n * served
    return min(prices, key=prices.get)


cheapest_size.slips("""
Training costs 6 N D; use 2 N a token, forward only: you took 6 for both.
    2 * n * served → 6 * n * served
Use costs too: add 2 N for each token that is served.
    + 2 * n * served →
That is the smallest size that reaches the loss. Each size needs its own number of tokens, and a small one
very many: compare what training and use cost together.
    return min(prices, key=prices.get) → return min(prices)
The largest size trains on the fewest tokens, but each costs more: compare the prices.
    return min(prices, key=prices.get) → return max(prices)
That is the dearest.
    min(prices, key=prices.get) → max(prices, key=prices.get)
That is the least price, not the size that has it.
    min(prices, key=prices.get) → min(prices.values())
""")


@cheapest_size.variant("what the use makes of it")
def saved_share(law: list[float], loss: float, served: float, sizes: list[float]) -> float:
    """Return which share of the whole price the size of 11.7 saves, beside the one cheapest to train.

    Both reach the loss, and both are paid for training, 6 N D, and use, 2 N a served token. The share is of
    what the size that is cheapest to train costs in all: 0 if the two are the same size.
    """
    e, a, b, alpha, beta = law
    training = {}
    for n in sizes:
        left = loss - e - a / n**alpha
        if left > 0:
            training[n] = 6 * n * (b / left) ** (1 / beta)
    prices = {n: price + 2 * n * served for n, price in training.items()}
    return float(1 - min(prices.values()) / prices[min(training, key=training.get)])


saved_share.slips("""
That answers the first version: the size itself; what it saves is asked for.
    → cheapest_size
Both are paid for training and use: you compared with the price of training alone.
    prices[min(training, key=training.get)] → min(training.values())
The share is of what the other costs, not of the cheaper price.
    1 - min(prices.values()) / prices[min(training, key=training.get)]
    → prices[min(training, key=training.get)] / min(prices.values()) - 1
That is the share that is still paid; what is saved is the rest.
    float(1 - min → float(min
Use costs 2 N a token, forward only: you took 6.
    2 * n * served → 6 * n * served
Beside the size that is cheapest to train, not beside the dearest of all.
    prices[min(training, key=training.get)] → max(prices.values())
""")
