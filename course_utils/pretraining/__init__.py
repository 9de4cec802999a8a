"""Making a language model: from raw text to one that chats, and into the formats that others read.

`model` is what is made, and the folder in which it is kept.
"""
