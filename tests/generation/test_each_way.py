"""Ways of writing side by side write what each writes alone."""

import torch

from course_utils.generation import generate
from course_utils.generation.each_way import write_each_way
from course_utils.gpt import GPT, GPTConfig
from course_utils.sampling import Sampler

PROMPTS = [[1, 2, 3], [4], [5, 6, 5, 6]]


def test_each_way_writes_what_it_writes_alone():
    torch.manual_seed(0)
    model = GPT(GPTConfig(20, 64, 2, 4, 32)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    ways = {
        "greedy": Sampler(temperature=0),
        "penalised": Sampler(repetition_penalty=2, temperature=0),
        "second": Sampler(typical=0.01, temperature=0),
    }
    together = write_each_way(model, PROMPTS, ways, 12)
    alone = {way: generate(model, PROMPTS, 12, sampler=sampler) for way, sampler in ways.items()}
    ids = {way: [text.ids for text in texts] for way, texts in together.items()}
    assert ids == {way: [text.ids for text in texts] for way, texts in alone.items()}
    assert ids["greedy"] != ids["penalised"] != ids["second"]
    assert all(len(text.surprise) == len(text.entropy) == 12 for texts in together.values() for text in texts)


def test_a_way_that_draws_draws_from_the_generator():
    torch.manual_seed(0)
    model = GPT(GPTConfig(20, 64, 2, 4, 32)).eval()
    ways = {"greedy": Sampler(temperature=0), "drawn": Sampler()}
    some = [write_each_way(model, PROMPTS, ways, 9, torch.Generator().manual_seed(i)) for i in (0, 0, 1)]
    ids = [{way: [text.ids for text in texts] for way, texts in each.items()} for each in some]
    assert ids[0] == ids[1] and ids[0]["greedy"] == ids[2]["greedy"] and ids[0]["drawn"] != ids[2]["drawn"]
