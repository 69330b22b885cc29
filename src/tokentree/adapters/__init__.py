"""Language models as next-token distributions, and their token trees.

`read_model` expands a model into a token tree; `read_along` reads it on the prefixes of a data tree. A model
is any callable that satisfies `NextTokenModel`. Three classes here wrap existing models: `LlamaCpp` a GGUF
file, `CausalLM` a transformers model and `CompletionsServer` an OpenAI-compatible server. Each imports the
library it needs on first use. `Recording` stores a model's answers in a file, and is itself a model.
"""

from .asking import NextTokenModel, ReadError
from .completions import CompletionsServer
from .huggingface import CausalLM
from .llama import LlamaCpp
from .reader import read_along, read_model
from .recording import Recording

__all__ = ["CausalLM", "CompletionsServer", "LlamaCpp", "NextTokenModel", "ReadError", "Recording"]
__all__ += ["read_along", "read_model"]
__dir__ = __all__.copy
