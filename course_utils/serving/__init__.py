"""Chatting with a model: a page for people and OpenAI's chat completions for programs, on loopback.

`offers` has the models, `asking` what may be asked of one, `desk` the turns of those who wait, and `server`
what goes over the wire. The server is tornado's, which JupyterLab stands on and so is there already: it says
when a client leaves, which ends the answer.
"""
