"""The recipe of the masked-word model: what is trained, and what is shipped of it."""

import pytest
import torch

from course_utils import pretrained
from course_utils.bert.scores import gaps, score
from course_utils.data.reviews import reviews
from course_utils.weights import bert_recipe as recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_embeddings_are_the_packages_and_the_rest_is_trained():
    model, minilm = recipe.build(recipe.RECORDED), pretrained.load("minilm")
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"bert.token.weight", "bert.position.table.weight", "bert.segment.weight"}
    for name, parameter in minilm.named_parameters():
        assert model.get_parameter(f"bert.{name}").equal(parameter)
    assert model.head.dense.weight.equal(torch.eye(384))
    scratch = recipe.build(recipe.RECIPES["scratch"])
    assert all(parameter.requires_grad for parameter in scratch.parameters())


def test_what_is_shipped_brings_the_model_back():
    trained = recipe.build(recipe.RECORDED)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trained.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    tensors = recipe.differences(trained)
    assert sum(tensor.nbytes for tensor in tensors.values()) <= 12e6
    back = recipe.build(recipe.RECORDED)
    recipe.add_differences(back, tensors)
    for name, parameter in trained.named_parameters():
        error = (back.get_parameter(name) - parameter).abs()
        largest = 0.05 * 6 / 254 if parameter.dim() == 2 else 1e-3
        assert error.max() <= largest, name
    del tensors["head.dense.weight"]
    with pytest.raises(ValueError, match=r"not the differences of this model: head\.dense\.weight"):
        recipe.add_differences(back, tensors)


def test_what_is_shipped_fills_gaps_as_its_table_says():
    """On 60 rows (others would differ by some points); the table has all rows of the test."""
    tokenizer = pretrained.bert_tokenizer()
    asked = gaps(recipe.ids_of(review.text for review in reviews().test[:120]), tokenizer, rows=60)
    model = recipe.load()

    def answer(inputs, lengths, chosen):
        return model(inputs, lengths, chosen=chosen)

    found = score(answer, asked)
    assert 0.36 < found.first < 0.46 and 22 < found.perplexity < 42
    model.head.dense.weight.data.zero_()
    assert score(answer, asked).first < 0.1
