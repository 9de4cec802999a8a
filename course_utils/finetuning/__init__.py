"""Fine-tuning: from a model that goes on with any text to one that does as asked.

`lora` trains a few numbers beside the frozen weights, `peft_format` keeps them in the files that the library
`peft` reads and writes. `sft` trains on conversations, with loss on the answers alone; `costs` says what a
step takes. `preferences` learns from which of two answers was chosen: reward models, and DPO; `log_probs`
says how probable a model finds an answer. `tasks` sets problems that a program marks, and has pass@k;
`orders` is one whose answers have a form; `policy_gradient` learns from such marks. `simplex` is a world of a
few answers, in which all of this is computed exactly.
"""
