"""Variants: what is asked again in a later chapter of those who read a solution instead of finding one.

A variant needs the idea of the first version and takes the same arguments, so that the old solution runs when
it is pasted, and earns a sentence of its own.
"""

from course_utils.learner.checks.again import (
    attention,
    bpe,
    generation,
    gpt,
    heads,
    neural,
    ngrams,
    recurrent,
    sampling,
    smoothing,
    start,
    tokenizers,
    transformer,
)

CHECKS = (
    *start.CHECKS,
    *ngrams.CHECKS,
    *smoothing.CHECKS,
    *neural.CHECKS,
    *recurrent.CHECKS,
    *tokenizers.CHECKS,
    *bpe.CHECKS,
    *attention.CHECKS,
    *heads.CHECKS,
    *transformer.CHECKS,
    *gpt.CHECKS,
    *sampling.CHECKS,
    *generation.CHECKS,
)
