"""Fine-tuning: from a model that goes on with any text to one that does as asked.

`lora` trains a few numbers beside the frozen weights, `peft_format` keeps them in the files that the library
`peft` reads and writes.
"""
