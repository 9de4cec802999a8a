"""A finished model in other programs' formats: `hugging_face` for transformers, `gguf` for llama.cpp."""
