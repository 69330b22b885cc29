"""Responses to steps of fine-tuning against steps that were made."""

import math
import pickle
import subprocess
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tokentree.training import adam_preconditioner, fine_tuning, fine_tuning_response

torch = pytest.importorskip("torch")

TEXTS = "typing", "pydoc_data/topics", "encodings/cp1251"


def classes(name, length=400):
    """The start of a module of the standard library as six classes of characters."""
    text = (Path(pickle.__file__).parent / f"{name}.py").read_text(encoding="utf-8")[:length]
    kinds = str.isspace, str.islower, str.isupper, str.isdigit, str.isalpha
    return torch.tensor([next((k for k, kind in enumerate(kinds) if kind(c)), 5) for c in text])


def loss_of(text):
    """Mean loss in nats of the next class, read from the two before it."""
    pairs = torch.nn.functional.one_hot(torch.stack([text[:-2], text[1:-1]], 1), 6).flatten(1)

    def loss(model):
        dtype = next(model.parameters()).dtype
        return torch.nn.functional.cross_entropy(model(pairs.to(dtype)), text[2:])

    return loss


LOSSES = [loss_of(classes(name)) for name in TEXTS]


def network(steps=30):
    """A network of two layers that has learned the three texts, and the Adam that it learned with."""
    torch.manual_seed(0)
    layers = torch.nn.Linear(12, 5), torch.nn.Tanh(), torch.nn.Linear(5, 6)
    model = torch.nn.Sequential(*layers).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(loss(model) for loss in LOSSES).backward()
        optimizer.step()
    return model, optimizer


def gradients(model, loss):
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss(model), parameters), strict=True))


def signs(gradient):
    return {name: part.sign() for name, part in gradient.items()}


def diagonal(model):
    rng = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(part.shape, generator=rng, dtype=part.dtype)
        for name, part in model.named_parameters()
    }


def moved(model, direction, step):
    """A copy that has made the step, as an optimiser makes it."""
    copy = deepcopy(model)
    with torch.no_grad():
        for name, part in copy.named_parameters():
            part -= step * direction[name]
    return copy


def along(model, loss, direction):
    """The first three derivatives of the loss by the length of the step."""
    length = torch.zeros((), dtype=torch.float64, requires_grad=True)
    shifted = {name: part - length * direction[name] for name, part in model.named_parameters()}

    class Shifted(torch.nn.Module):
        def forward(self, x):
            return torch.func.functional_call(model, shifted, x)

        def parameters(self):
            return iter([length])

    value, found = loss(Shifted()), []
    for _ in range(3):
        (value,) = torch.autograd.grad(value, length, create_graph=True)
        found.append(value.item())
    return found


@pytest.mark.parametrize("kind", ["identity", "diagonal", "signs"])
def test_losses_move_as_the_response_says_when_a_step_is_made(kind):
    model, _ = network()
    scale = diagonal(model)
    metric = {"identity": None, "diagonal": scale, "signs": signs}[kind]
    found = fine_tuning_response(model, LOSSES, TEXTS, preconditioner=metric, base=math.e)
    for t, grown in enumerate(LOSSES):
        gradient = gradients(model, grown)
        direction = {
            "identity": gradient,
            "diagonal": {name: scale[name] * part for name, part in gradient.items()},
            "signs": signs(gradient),
        }[kind]
        for i, loss in enumerate(LOSSES):
            first, second, third = along(model, loss, direction)
            before = loss(model).item()
            for step in (1e-3, 1e-4, 1e-5):
                rise = (loss(moved(model, direction, step)).item() - before) / step
                # Taylor's next terms, the last twice for those after it, and the rounding of two losses.
                left = step**2 * abs(third) / 3 + 50 * np.finfo(float).eps * before / step
                assert rise - found.response[i, t] == pytest.approx(step * second / 2, abs=left)
            assert found.response[i, t] == pytest.approx(first, rel=1e-10, abs=1e-12)
    assert np.abs(found.response).min() > 1e-4


def test_losses_by_name():
    model, _ = network()
    named = fine_tuning_response(model, dict(zip(TEXTS, LOSSES, strict=True)))
    assert named == fine_tuning_response(model, LOSSES, TEXTS)


def test_the_response_is_symmetric_for_a_symmetric_preconditioner():
    model, _ = network()
    scale = diagonal(model)
    for metric in (None, scale):
        response = fine_tuning_response(model, LOSSES, preconditioner=metric).response
        assert (response == response.T).all()
        assert np.linalg.eigvalsh(response).max() < 0
    whole = fine_tuning_response(model, LOSSES, preconditioner=scale)

    def called(gradient):
        return {name: scale[name] * part for name, part in gradient.items()}

    same = fine_tuning_response(model, LOSSES, preconditioner=called)
    assert np.allclose(same.response, whole.response, rtol=1e-12)
    assert np.allclose(same.norms, whole.norms, rtol=1e-12)
    loose = fine_tuning_response(model, LOSSES, preconditioner=signs).response
    assert not np.allclose(loose, loose.T, rtol=0.1)


def test_norms_and_cosines_are_those_of_the_metric():
    model, _ = network()
    scale = diagonal(model)
    found = fine_tuning_response(model, LOSSES, TEXTS, preconditioner=scale)
    flat = [
        np.concatenate([(scale[name].sqrt() * part).numpy().ravel() for name, part in g.items()])
        for g in (gradients(model, loss) for loss in LOSSES)
    ]
    assert found.norms == pytest.approx([np.linalg.norm(g) for g in flat], rel=1e-12)
    for i, g in enumerate(flat):
        for t, h in enumerate(flat):
            cosine = g @ h / np.linalg.norm(g) / np.linalg.norm(h)
            assert found.cosines[i, t] == pytest.approx(cosine, abs=1e-12)
            assert found.response[i, t] == pytest.approx(-(g @ h) / math.log(2), rel=1e-11, abs=1e-13)
    assert found.rates == pytest.approx([loss(model).item() / math.log(2) for loss in LOSSES])
    frame = found.to_frame()
    assert frame.loc[(TEXTS[2], TEXTS[0]), "response"] == found.response[2, 0]
    assert frame.loc[(TEXTS[0], TEXTS[2]), "cosine"] == found.cosines[0, 2]
    assert pickle.loads(pickle.dumps(found)) == found
    assert found.names == TEXTS


def test_a_dataset_at_its_own_optimum_neither_moves_nor_is_moved():
    model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    model.weight.data = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    losses = [lambda m: ((m.weight - torch.tensor([1.0, 0.0])) ** 2).sum(), lambda m: m.weight.sum()]
    found = fine_tuning_response(model, losses, base=math.e)
    assert found.response.tolist() == [[0, 0], [0, -2]]
    assert found.norms.tolist() == [0, math.sqrt(2)]
    assert np.isnan(found.cosines).tolist() == [[True, True], [True, False]]
    assert math.copysign(1, found.response[0, 0]) == 1


# The module


class Counting(torch.nn.Module):
    """With batch normalisation, which keeps means, and a buffer that every call replaces."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.last = torch.nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls = self.calls + 1
        return self.last(self.norm(self.first(x)).tanh())


@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_module_stays_as_it_was(around):
    torch.manual_seed(1)
    model = Counting()
    x = torch.randn(10, 3)
    model.first.weight.grad = torch.ones(4, 3)
    model.last.bias.requires_grad_(False)
    before = {name: part.clone() for name, part in model.state_dict().items()}
    held = {name: (id(part), part._version) for name, part in model.named_parameters()}
    buffers = {name: id(part) for name, part in model.named_buffers()}
    losses = [lambda m: m(x).square().mean(), lambda m: m(x).sum()]
    with around():
        found = fine_tuning_response(model, losses)
    assert (np.diag(found.response) < 0).all()
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    assert {name: (id(part), part._version) for name, part in model.named_parameters()} == held
    assert {name: id(part) for name, part in model.named_buffers()} == buffers
    assert model.first.weight.grad.tolist() == [[1.0] * 3] * 4
    assert [n for n, p in model.named_parameters() if p.grad is not None] == ["first.weight"]
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["last.bias"]
    assert model.training
    assert model.norm.training


def test_buffers_are_put_back_after_a_loss_that_fails():
    model = Counting()

    def fails(module):
        return module(torch.ones(4, 3)).sum() * math.nan

    with pytest.raises(ValueError, match=r"losses\[0\] = nan: must be finite"):
        fine_tuning_response(model, [fails])
    assert model.calls == model.norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.25)), r"model.1 is a Dropout"),
        (lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.AlphaDropout()), "model.1 is a Alpha"),
        (lambda: torch.nn.LSTM(2, 2, num_layers=2, dropout=0.5), r"model is a LSTM .* where dropout = 0.5"),
        (lambda: torch.nn.TransformerEncoderLayer(4, 2, 4), "where dropout = 0.1"),
    ],
)
def test_dropout_left_on_is_refused_by_name(make, place):
    model = make()
    losses = [lambda m: sum(p.sum() for p in m.parameters())]
    with pytest.raises(ValueError, match=place):
        fine_tuning_response(model, losses)
    model.eval()
    count = sum(p.numel() for p in model.parameters())
    assert fine_tuning_response(model, losses, base=math.e).response.tolist() == [[-count]]


@pytest.mark.parametrize("rate", [0.0, 1.0, 0, 1])
def test_dropout_of_nothing_or_all_is_no_chance(rate):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(rate))
    assert fine_tuning_response(model, [lambda m: m[0].bias.sum()], base=math.e).response == -2


class Flat(torch.nn.Module):
    """A module of one vector."""

    def __init__(self, entries, dtype=torch.float32):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(entries, dtype=dtype))


def test_products_of_float32_gradients_are_summed_in_float64():
    large = torch.ones(1001)
    large[0] = 2**20
    # Their squares sum to 2^40 + 1000, and the next number of float32 after 2^40 is 2^17 beyond it.
    found = fine_tuning_response(Flat(1001), [lambda m: (m.w * large).sum()], base=math.e)
    assert found.response.tolist() == [[-(2.0**40) - 1000]]
    huge = fine_tuning_response(Flat(2), [lambda m: m.w.sum() * 1e30], base=math.e)
    assert huge.response[0, 0] == pytest.approx(-2e60, rel=1e-6)


def test_a_float32_network_answers_as_its_float64_self():
    model, _ = network()
    exact = fine_tuning_response(model, LOSSES)
    found = fine_tuning_response(model.float(), LOSSES)
    # A gradient of float32 is off by some hundred roundings of the terms that it sums.
    off = 300 * np.finfo(np.float32).eps * np.outer(exact.norms, exact.norms) / math.log(2)
    assert (np.abs(found.response - exact.response) < off).all()


def test_a_parameter_that_no_loss_uses_changes_nothing():
    model = torch.nn.ModuleDict({"used": torch.nn.Linear(2, 1), "idle": torch.nn.Linear(5, 5)})
    losses = [lambda m: m["used"].weight.sum(), lambda m: m["used"].bias.sum() * 3]
    assert fine_tuning_response(model, losses, base=math.e).response.tolist() == [[-2, 0], [0, -9]]


def test_a_shared_parameter_counts_once():
    model = torch.nn.ModuleDict({"in": torch.nn.Linear(2, 2, bias=False)})
    model["out"] = torch.nn.Linear(2, 2, bias=False)
    model["out"].weight = model["in"].weight
    with torch.no_grad():
        model["in"].weight.fill_(1)
    losses = [lambda m: m["in"].weight.sum() + m["out"].weight.sum()]
    for metric in (None, {"in.weight": 1}, {"in.weight": 1, "out.weight": 7}):
        found = fine_tuning_response(model, losses, preconditioner=metric, base=math.e)
        assert found.response.tolist() == [[-16]]


def test_frozen_parameters_are_left_out():
    model = torch.nn.Linear(2, 3)
    losses = [lambda m: m.weight.sum() + 2 * m.bias.sum()]
    assert fine_tuning_response(model, losses, base=math.e).response == -6 - 12
    model.weight.requires_grad_(False)
    assert fine_tuning_response(model, losses, base=math.e).response == -12
    diagonal = {"weight": torch.ones(3, 2), "bias": 0.5}
    assert fine_tuning_response(model, losses, preconditioner=diagonal, base=math.e).response == -6
    model.bias.requires_grad_(False)
    with pytest.raises(ValueError, match="model has no parameter that requires a gradient"):
        fine_tuning_response(model, losses)


def test_sparse_gradients_are_gradients():
    table = torch.nn.Embedding(4, 3, sparse=True)
    tokens = torch.tensor([1, 1, 2])
    found = fine_tuning_response(table, [lambda m: m(tokens).sum()], base=math.e)
    assert found.response.tolist() == [[-3 * (4 + 1)]]


def test_pieces_of_a_parameter_change_nothing(monkeypatch):
    model, _ = network()
    metrics = [None, diagonal(model), signs]
    whole = [fine_tuning_response(model, LOSSES, preconditioner=metric).response for metric in metrics]
    monkeypatch.setattr(fine_tuning, "_CHUNK", 7)
    for metric, response in zip(metrics, whole, strict=True):
        again = fine_tuning_response(model, LOSSES, preconditioner=metric).response
        assert np.allclose(again, response, rtol=1e-12)


# What is refused


@pytest.mark.usefixtures("unchecked")
def test_losses_that_are_no_callables():
    with pytest.raises(TypeError, match=r"losses\[1\] is a int: must be a callable of the module"):
        fine_tuning_response(Flat(2), [lambda m: m.w.sum(), 3])
    with pytest.raises(ValueError, match=r"losses = .*: must be a sequence of callables"):
        fine_tuning_response(Flat(2), lambda m: m.w.sum())


def test_losses_that_are_none():
    model = Flat(2)
    cases = [
        ([lambda m: m.w.sum() / 0], ValueError, r"losses\[0\] = nan: must be finite"),
        ([lambda m: m.w.sum(), lambda m: m.w.sum() + math.inf], ValueError, r"losses\[1\] = inf"),
        ([lambda m: m.w], ValueError, r"losses\[0\] returned a tensor of shape \(2,\): must be a scalar"),
        ([lambda m: 1.0], TypeError, r"losses\[0\] returned a float: must be a scalar tensor"),
        ([lambda m: m.w.sum().long()], TypeError, r"losses\[0\] returned a tensor of torch.int64"),
        ([lambda m: m.w.sum().detach()], ValueError, r"losses\[0\] returned a tensor without a gradient"),
        ([lambda m: m.w.sum().sqrt()], ValueError, r"losses\[0\] has a gradient by 'w' that is not finite"),
        ([], ValueError, "losses is empty"),
    ]
    for losses, kind, text in cases:
        with pytest.raises(kind, match=text):
            fine_tuning_response(model, losses)
    with pytest.raises(TypeError, match=r"model is a function: must be a torch.nn.Module"):
        fine_tuning_response(lambda: 0, [lambda m: 0])
    with pytest.raises(ValueError, match=r"names = \['a', 'b'\]: must be 1 strings"):
        fine_tuning_response(model, [lambda m: m.w.sum()], ["a", "b"])
    with pytest.raises(ValueError, match="base = 1"):
        fine_tuning_response(model, [lambda m: m.w.sum()], base=1)
    with pytest.raises(TypeError, match=r"model.w has dtype torch.complex64: parameters must be real"):
        fine_tuning_response(Flat(2, torch.complex64), [lambda m: m.w.abs().sum()])


def test_preconditioners_that_are_none():
    model = Flat(2)
    cases = [
        ({}, "preconditioner lacks 'w'"),
        ({"w": 1, "v": 1}, "preconditioner has 'v': the model has no such parameter"),
        ({"w": torch.ones(3)}, r"preconditioner\['w'\] has shape \(3,\): must be \(\) or \(2,\)"),
        (
            {"w": torch.tensor([1.0, -2.0])},
            r"preconditioner\['w'\] has an entry -2.0: must be finite and >= 0",
        ),
        ({"w": math.nan}, r"preconditioner\['w'\] has an entry nan"),
        (lambda g: g["w"], "preconditioner returned 'Tensor': must be a mapping"),
        (lambda g: {"v": g["w"]}, r"preconditioner returned \['v'\]: must be a mapping with the names"),
        (lambda g: {"w": g["w"][:1]}, r"preconditioner returned no tensor of shape \(2,\) for 'w'"),
        (lambda g: {"w": g["w"] / 0}, r"preconditioner\(gradient of losses\[0\]\)\['w'\] is not finite"),
    ]
    for metric, text in cases:
        with pytest.raises(ValueError, match=text):
            fine_tuning_response(model, [lambda m: m.w.sum()], preconditioner=metric)


def test_a_preconditioner_may_work_in_place():
    def halve(gradient):
        for part in gradient.values():
            part.mul_(0.5)
        return gradient

    losses = [lambda m: m.w.sum(), lambda m: m.w[0] * 4]
    found = fine_tuning_response(Flat(2), losses, preconditioner=halve, base=math.e)
    assert found.response.tolist() == [[-1, -2], [-2, -8]]


def test_without_torch_the_extra_is_named(monkeypatch):
    model, optimizer = Flat(2), None
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ImportError, match=r"fine_tuning_response needs torch: pip install torch \(extra 'tran"
    ):
        fine_tuning_response(model, [lambda m: m.w.sum()])
    with pytest.raises(ImportError, match=r"adam_preconditioner needs torch"):
        adam_preconditioner(model, optimizer)


def test_torch_is_loaded_only_when_it_is_needed():
    code = "import sys, tokentree.training; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Adam


@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adams_diagonal_is_what_its_own_step_divides_by(kind, amsgrad):
    model, _ = network(5)
    groups = [{"params": model[0].parameters(), "eps": 1e-3}, {"params": model[2].parameters()}]
    # Without momentum and weight decay, a step is the diagonal times the gradient.
    optimizer = getattr(torch.optim, kind)(groups, lr=0.01, betas=(0.0, 0.9), amsgrad=amsgrad, weight_decay=0)
    for loss in LOSSES * 2:
        gradient = gradients(model, loss)
        before = {name: part.detach().clone() for name, part in model.named_parameters()}
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    found = adam_preconditioner(model, optimizer)
    for name, part in model.named_parameters():
        step = (before[name] - part.detach()) / 0.01
        assert torch.allclose(step, found[name] * gradient[name], rtol=1e-9, atol=1e-12)


def test_adams_diagonal_needs_a_step_on_every_parameter():
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(ValueError, match="optimizer has no second moments of 'weight'"):
        adam_preconditioner(model, optimizer)
    model.weight.sum().backward()
    optimizer.step()
    with pytest.raises(ValueError, match=r"no second moments of 'bias'.*freeze"):
        adam_preconditioner(model, optimizer)
    model.bias.requires_grad_(False)
    assert set(adam_preconditioner(model, optimizer)) == {"weight"}
    descent = torch.optim.SGD(model.parameters(), lr=1, momentum=0.5)
    descent.step()
    with pytest.raises(ValueError, match="no second moments of 'weight'"):
        adam_preconditioner(model, descent)


# A language model


@cache
def language_model(steps=250):
    """A GPT-2 of some thousand parameters, trained on three texts until their gradients disagree."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=128,
        n_positions=32,
        n_embd=16,
        n_layer=1,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    )
    model = transformers.GPT2LMHeadModel(config)
    rng = np.random.default_rng(0)

    def loss_on(name):
        text = np.frombuffer((Path(pickle.__file__).parent / f"{name}.py").read_bytes(), np.uint8) % 128
        at = rng.integers(0, len(text) - 32, 16)
        rows = torch.tensor(text[at[:, None] + np.arange(32)].astype(np.int64))

        def loss(model):
            logits = model(input_ids=rows).logits[:, :-1]
            return torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

        return loss

    losses = [loss_on(name) for name in TEXTS]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / steps)
        optimizer.zero_grad()
        (0.5 * losses[0](model) + 0.3 * losses[1](model) + 0.2 * losses[2](model)).backward()
        optimizer.step()
    return model, losses, optimizer


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_steps_of_a_language_model_move_losses_to_the_side_that_was_predicted(kind):
    model, losses, trained = language_model()
    metric = adam_preconditioner(model, trained) if kind == "AdamW" else None

    def rise(t, step):
        """How much the losses rise with a step that the optimiser makes."""
        copy = deepcopy(model)
        if kind == "SGD":
            optimizer = torch.optim.SGD(copy.parameters(), lr=step)
        else:
            optimizer = torch.optim.AdamW(copy.parameters())
            optimizer.load_state_dict(trained.state_dict())
            optimizer.param_groups[0].update(lr=step, betas=(0.0, 0.999), weight_decay=0)
        optimizer.zero_grad()
        losses[t](copy).backward()
        optimizer.step()
        with torch.no_grad():
            return np.array([loss(copy).item() - loss(model).item() for loss in losses])

    found = fine_tuning_response(model, losses, TEXTS, preconditioner=metric, base=math.e)
    clear = np.abs(found.cosines) > 0.05
    assert clear.sum() >= 7
    off = {}
    for drop in (1e-3, 1e-4):
        steps = drop / -np.diag(found.response)
        rises = np.column_stack([rise(t, step) / step for t, step in enumerate(steps)])
        assert (np.sign(rises) == np.sign(found.response))[clear].all()
        off[drop] = np.abs(rises - found.response)
    if kind == "SGD":
        # The error is of the order of the step; Adam's second moments move with the step itself.
        rounding = 8 * np.finfo(np.float32).eps * found.rates[:, None] / steps
        assert (off[1e-4] < 0.2 * off[1e-3] + rounding).all()
    # What helps one text harms another: the signs were not all alike.
    assert (found.response > 0).any()
    assert sum(p.numel() for p in model.parameters()) > 5000
