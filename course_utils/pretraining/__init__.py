"""Making a language model: from raw text to one that chats, and into the formats that others read.

`model` is what is made, and the folder in which it is kept. `stages` runs the steps one after the other, and
goes on where a kill left off; `manifest` keeps what went into each and what came out. `documents` are what
there is to read, and `filters` leave out what had better not be read.

`machine` has the stages of `course.py make`: it fixes the questions (`evaluate`), writes documents and tokens
(`corpus`), chooses a tokenizer (`vocabulary`) and a size (`plans`), trains (`pretrain`, and `parallel` on
several processes), tunes (`tune`), says what fewer bits a weight cost (`quantise`), and writes the card
(`card`).
"""
