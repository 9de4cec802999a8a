"""An n-gram that reads on: it also counts the text that it is scored on, each token after it was paid for.

Beside the model that was counted before stands a second one of what was read so far, counted anew after every
block; their probabilities are mixed. Names that no training text has are new once.

Sources: Kuhn & De Mori 1990 (a cache for a language model). PPM (Cleary & Witten 1984) counts on after every
token, and mixes no two models but its own orders.
"""

import numpy as np
from jaxtyping import Float, Int

from course_utils.ngrams import NGramModel

# chosen on Twelfth Night, of 0.1 to 0.4 and of an eighth of the play, 4,000 and 1,000 tokens;
# 1,000 are better by 0.02 bits, and take four times as long
WEIGHT, BLOCK = 0.3, 4000


def scores(
    model: NGramModel, tokens: Int[np.ndarray, " tokens"], weight: float = WEIGHT, block: int = BLOCK
) -> Float[np.ndarray, " tokens"]:
    """The probability of each token, after those before it, for a model that counts them as it reads.

    weight is what the second model has in the mixture, block after how many tokens it is counted anew. Raises
    ValueError for a weight outside 0 to 1, and for blocks shorter than the model's order.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight goes from 0 to less than 1; got {weight}")
    if block < model.order:
        raise ValueError(f"a block has at least as many tokens as the order, {model.order}; got {block}")
    p = model.scores(tokens)
    for start in range(block, len(tokens), block):
        read, new = tokens[:start], slice(start, start + block)
        second = NGramModel(model.order).fit(read, model.vocab_size)
        context = model.order - 1
        p_read = second.scores(tokens[start - context : start + block])[context:]
        p[new] = (1 - weight) * p[new] + weight * p_read
    return p
