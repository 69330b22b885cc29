"""Language models as next-token distributions, and their token trees.

`read_model` expands a model into a token tree; `read_along` reads it on the prefixes of a data tree. A model
is any callable that satisfies `NextTokenModel`. The others here make one of what you have: `LlamaCpp` of a
GGUF file, `CausalLM` of a transformers model and `CompletionsServer` of an OpenAI-compatible server. Each
loads the library it needs when it is used. `Recording` keeps a model's answers in a file, and is a model too.
"""

from .asking import NextTokenModel, ReadError
from .completions import CompletionsServer
from .huggingface import CausalLM
from .llama import LlamaCpp
from .reader import read_along, read_model
from .recording import Recording

__all__ = ["CausalLM", "CompletionsServer", "LlamaCpp", "NextTokenModel", "ReadError", "Recording"]
__all__ += ["read_along", "read_model"]
