"""Assumption 3.2 on transformers of growing size, trained from scratch on a CPU in some minutes.

    python notebooks/growing_transformers.py src/tokentree/claims/growing_transformers.csv

Every model learns the same windows of letters (`tokentree.claims.evidence.letter_windows`) for the same
number of steps and is then read along the token tree of these windows. The table holds one line for each
model and depth: KL(data || model) in bits per block of that depth. Needs ``tokentree[transformers]``.
"""

import csv
import hashlib
import math
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tokentree import TokenTree, modelled_depth
from tokentree.adapters import CausalLM, read_along
from tokentree.claims.evidence import LETTERS, LETTERS_DEPTH, letter_windows

SYMBOLS, BEGIN = 27, 27
WIDTHS = (2, 4, 8, 16, 32, 64)
LAYERS, STEPS, BATCH, RATE = 2, 2000, 128, 1e-2


def train(width: int, windows: torch.Tensor, seed: int = 0) -> GPT2LMHeadModel:
    """A transformer of `width` channels after `STEPS` steps of AdamW with a cosine schedule."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=SYMBOLS + 1,
        n_positions=LETTERS_DEPTH,
        n_embd=width,
        n_layer=LAYERS,
        n_head=max(1, width // 16),
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=BEGIN,
        eos_token_id=None,
        use_cache=False,
    )
    model = GPT2LMHeadModel(config).train()
    # Wider models want smaller steps.
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE * min(1.0, math.sqrt(16 / width)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE * min(1.0, math.sqrt(16 / width)), STEPS)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        rows = windows[torch.randint(len(windows), (BATCH,), generator=generator)]
        logits = model(rows[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def main(path: str) -> None:
    """Train and measure every size; write the table."""
    # The models are so small that threads would wait for one another.
    torch.set_num_threads(1)
    rows = letter_windows()
    data = TokenTree.from_sequences(rows, alphabet_size=SYMBOLS, depth=LETTERS_DEPTH)
    windows = torch.from_numpy(np.insert(rows, 0, BEGIN, axis=1))
    text = hashlib.sha256(rows.tobytes()).hexdigest()[:16]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        file.write(
            f"# Made by notebooks/growing_transformers.py: {LETTERS} symbols of Python "
            f"{platform.python_version()} (SHA-256 {text}), {LAYERS} layers, {STEPS} steps of {BATCH}\n"
        )
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["width", "parameters", "depth", "kl_bits", "entropy_bits"])
        for width in WIDTHS:
            begun = time.perf_counter()
            model = train(width, windows)
            trained = time.perf_counter()
            along = read_along(CausalLM(model, bos=BEGIN), data, batch_size=1024)
            found = modelled_depth(along, data, 1.0)
            size = sum(parameter.numel() for parameter in model.parameters())
            for depth, divergence in zip(found.depths, found.upper, strict=True):
                p = data.prune(int(depth)).leaf_probabilities
                entropy = float(-(p * np.log2(p)).sum())
                table.writerow([width, size, depth, f"{divergence:.6f}", f"{entropy:.6f}"])
            file.flush()
            print(
                f"width {width:4d}, {size:7d} parameters: depth {found.depth} within a bit; "
                f"KL {np.round(found.upper, 3)}; {trained - begun:.0f} s to train, "
                f"{time.perf_counter() - trained:.0f} s to read",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1])
