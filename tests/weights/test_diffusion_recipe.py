"""The masked-diffusion model is the recorded GPT without its causal mask, and costs what that costs."""

import torch

from course_utils.weights import diffusion_recipe, gpt_recipe


def test_it_is_the_gpt_and_one_embedding_more():
    gpt, model = gpt_recipe.build("recorded"), diffusion_recipe.build()
    ours = dict(model.named_parameters())
    for name, parameter in gpt.named_parameters():
        twin = ours[name.replace("decoder", "encoder")]
        rows = parameter.shape[0] + (name == "embedding.weight")
        assert twin.shape == (rows, *parameter.shape[1:])
    assert len(ours) == len(list(gpt.named_parameters()))
    extra = 6 * gpt.config.d_model  # for the embedding of the mask
    assert gpt_recipe.flops_per_token(model) == gpt_recipe.flops_per_token(gpt) + extra


def test_blocks_start_at_zero_as_the_gpts_do():
    model, x = diffusion_recipe.build(), torch.randn(1, 5, 192)
    assert model.encoder.blocks[0](x).equal(x)


def test_it_is_watched_on_the_windows_on_which_the_gpt_is():
    ids = diffusion_recipe.ids("validation")
    assert len(ids) // 256 // 4 <= len(gpt_recipe._validation(256)[0]) <= len(ids) // 256 // 4 + 1
