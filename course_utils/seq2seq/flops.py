"""What it costs to write a target to a source: the multiplications and additions of a forward pass.

A matrix costs 2 for each of its weights and position that it reads; attention 4 d_model for a query and key,
2 d_model for the score and as many for the sum of the values, masked or not. What is looked up, normed or
added costs next to nothing. Training costs three times as much: the backward pass has two products for each.

Both count blocks as T5's, with two matrices in the feed-forward layer, and d_model = n_heads d_head.
Sources: Kaplan et al. 2020, section 2.1; Chowdhery et al. 2022, appendix B (attention).
"""


def encoder_decoder_flops(
    source: int, target: int, *, n_layers: int, d_model: int, d_ff: int, vocab_size: int
) -> int:
    """n_layers blocks read the source; as many write the target, and their keys and values of the source are
    made once."""
    square, feed_forward = d_model**2, 2 * d_model * d_ff
    encoder = source * (4 * square + feed_forward)
    decoder = target * (6 * square + feed_forward) + source * 2 * square
    pairs = source * source + target * target + target * source  # of query and key
    products = n_layers * (encoder + decoder) + target * vocab_size * d_model
    return 2 * products + 4 * n_layers * d_model * pairs


def decoder_only_flops(
    source: int, target: int, *, n_layers: int, d_model: int, d_ff: int, vocab_size: int
) -> int:
    """n_layers blocks read source and target as one row; the head reads the target's places. A prefix
    language model costs what a causal one does."""
    row = source + target
    blocks = n_layers * row * (4 * d_model**2 + 2 * d_model * d_ff)
    return 2 * (blocks + target * vocab_size * d_model) + 4 * n_layers * d_model * row * row
