"""A small model and its tokenizer."""

import pytest
from small_llama import small_model, small_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return small_tokenizer()


@pytest.fixture(scope="session")
def model(tokenizer):
    return small_model(tokenizer.get_vocab_size())
