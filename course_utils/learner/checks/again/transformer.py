"""Variants of the exercises of chapter 5."""

from collections.abc import Callable

import numpy as np

from course_utils.learner.checks.attention import IMPORTS
from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.transformer import block, block_inputs, head_inputs, head_scores

# 5.1


def post_norm_block(
    x: np.ndarray, norm_1: Callable, attention: Callable, norm_2: Callable, feed_forward: Callable
) -> np.ndarray:
    """Run a post-norm block, that of 2017: a branch reads x as it is, and the sum of both is normed."""
    x = norm_1(x + attention(x))
    return norm_2(x + feed_forward(x))


POST_NORM_BLOCK = Check(
    id="5.1 again",
    variant_of="5.1",
    title="a post-norm block",
    difficulty=2,
    minutes=6,
    imports=f"from collections.abc import Callable\n\n{IMPORTS}",
    reference=post_norm_block,
    inputs=block_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it norms what a branch reads; here the sum is normed.", block
        ),
        Mistake(
            "Norm the sum, not what the branch adds.",
            lambda x, norm_1, attention, norm_2, feed_forward: (
                x + norm_1(attention(x)) + norm_2(feed_forward(x + norm_1(attention(x))))
            ),
        ),
        Mistake(
            "Each sum has its own norm.",
            lambda x, norm_1, attention, norm_2, feed_forward: post_norm_block(
                x, norm_1, attention, norm_1, feed_forward
            ),
        ),
        Mistake(
            "The norms are swapped: the first is that of attention.",
            lambda x, norm_1, attention, norm_2, feed_forward: post_norm_block(
                x, norm_2, attention, norm_1, feed_forward
            ),
        ),
        Mistake(
            "There is a norm after each branch, not only after the second.",
            lambda x, norm_1, attention, norm_2, feed_forward: post_norm_block(
                x, lambda x: x, attention, norm_2, feed_forward
            ),
        ),
        Mistake(
            "The second sum is normed too.",
            lambda x, norm_1, attention, norm_2, feed_forward: post_norm_block(
                x, norm_1, attention, lambda x: x, feed_forward
            ),
        ),
        Mistake(
            "There is no residual: each branch *adds* to what it read.",
            lambda x, norm_1, attention, norm_2, feed_forward: norm_2(feed_forward(norm_1(attention(x)))),
        ),
        Mistake(
            "Attention comes first.",
            lambda x, norm_1, attention, norm_2, feed_forward: post_norm_block(
                x, norm_2, feed_forward, norm_1, attention
            ),
        ),
    ),
    hint="Both branches have one form: the norm of x plus what the branch makes of x. Give the result of the "
    "first the name `x` again.",
    neighbour="""Two advisers change a balance, and the bank rounds it to hundreds after each:

```python
def hundreds(balance):
    return 100 * round(balance / 100)

balance = 1234
balance = hundreds(balance + balance // 20)   # 1300, of 1234 + 61
balance = hundreds(balance - balance // 10)   # 1200, of 1300 - 130: what was rounded off is gone for good
```

In the exercise rounding is the norm, and it stands on the way of all that comes later.""",
    without=WITHOUT,
)


# 5.2


def hit_rates(weights: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Say how often the key with a head's largest weight is a target, (H,), and how often a random key is.

    weights (H, T, T) and target (T, T) as in 5.2; only queries that have a target count. Of equal weights the
    first one is taken.
    """
    asked = target.any(axis=1)
    looked_at = weights.argmax(axis=2)
    hits = target[np.arange(len(target)), looked_at]
    return hits[:, asked].mean(axis=1), float(target[asked].mean())


def _rates(look=lambda w: w.argmax(-1), asked=lambda t: t.any(1), chance=lambda t, asked: t[asked].mean()):
    """Vary `hit_rates`: the key that is looked at, the queries that count, and the chance."""

    def answer(weights, target):
        queries = asked(target)
        hits = target[np.arange(len(target)), look(weights)]
        return hits[:, queries].mean(axis=1), float(chance(target, queries))

    return answer


HIT_RATES = Check(
    id="5.2 again",
    variant_of="5.2",
    title="how often a head hits, and its chance",
    difficulty=2,
    minutes=8,
    imports=IMPORTS,
    reference=hit_rates,
    inputs=head_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it averages weights; here it is counted who has the largest.",
            head_scores,
        ),
        Mistake(
            "Queries without a target can't hit any: leave them out.",
            _rates(asked=lambda t: np.ones(len(t), dtype=bool)),
        ),
        Mistake(
            "Chance is more than 1 in T for a query that has two targets.",
            _rates(chance=lambda t, asked: 1 / len(t)),
        ),
        Mistake(
            "The chance is of the same queries as the hits: of those that have a target.",
            _rates(chance=lambda t, asked: t.mean()),
        ),
        Mistake(
            "A row is a query: you looked for the largest weight of a column.",
            _rates(look=lambda w: w.argmax(1)),
        ),
        Mistake("You took the smallest weight.", _rates(look=lambda w: w.argmin(-1))),
        Mistake("A row is a query in `target` too.", lambda w, t: hit_rates(w, t.T)),
        Mistake(
            "These are numbers of hits: divide by the queries that have a target.",
            lambda w, t: (hit_rates(w, t)[0] * t.any(1).sum(), hit_rates(w, t)[1]),
        ),
    ),
    hint="`weights.argmax(axis=2)` is the key that each query looks at most, (H, T). "
    "`target[np.arange(T), looked_at]` says whether it is a target; pick the queries that have one, then "
    "average.",
    neighbour="""Did the favourite of each of 3 races win, and how often would a blind bet?

```python
odds = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.5, 0.1]])
won = np.array([[True, False, False], [False, False, True], [False, True, False]])
favourite = odds.argmax(axis=1)         # [0, 1, 1]
won[np.arange(3), favourite].mean()     # 0.67: the first and the third
won.mean()                              # 0.33
```

In the exercise there are several heads that bet, and races that have two winners or none.""",
    without=WITHOUT,
)

CHECKS = (POST_NORM_BLOCK, HIT_RATES)
