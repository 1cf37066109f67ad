"""Modules in PyTorch: the values and gradients of JAX for rows and weights, and a step of a PyTorch optimiser."""

import copy

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import ModernHopfield, chain
from hopfax.interop.layer import EquilibriumLayer

torch = pytest.importorskip("torch")
interop = pytest.importorskip("hopfax.interop.torch")

ROWS = jr.normal(jr.key(1), (5, 3), jnp.float32)
MODULES = {
    "equilibrium": (EquilibriumLayer(chain([3, 4, 2], key=jr.key(0))), lambda module, x: module(x)),
    "memory": (ModernHopfield(jr.normal(jr.key(2), (6, 3), jnp.float32), 2.0), ModernHopfield.read),
}


@pytest.fixture(params=list(MODULES))
def pair(request):
    return MODULES[request.param]


def gradients(module, call):
    """The gradients of the sum of squares, by JAX."""
    loss = lambda both: jnp.sum(jnp.square(jax.vmap(lambda x: call(both[0], x))(both[1])))
    return eqx.filter_grad(loss)((module, ROWS))


def test_values_and_gradients_are_those_of_jax(pair):
    module, call = pair
    bridge, x = interop.TorchModule(module, call), torch.tensor(np.asarray(ROWS), requires_grad=True)
    y = bridge(x)
    np.testing.assert_allclose(y.detach(), jax.vmap(lambda row: call(module, row))(ROWS), rtol=1e-6)
    (y**2).sum().backward()
    of_module, of_rows = gradients(module, call)
    np.testing.assert_allclose(x.grad, of_rows, rtol=1e-4, atol=1e-6)
    expected = jax.tree.leaves(eqx.filter(of_module, eqx.is_inexact_array))
    parameters = list(bridge.parameters())
    assert len(parameters) == len(expected) > 0
    for parameter, gradient in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_the_module_comes_back_with_its_weights(pair):
    module, call = pair
    bridge = interop.TorchModule(module, call)
    assert eqx.tree_equal(bridge.module(), module)
    before = [p.detach().clone().numpy() for p in bridge.parameters()]
    back = bridge.module()
    optimiser = torch.optim.SGD(bridge.parameters(), lr=0.1)
    (bridge(torch.tensor(np.asarray(ROWS))) ** 2).sum().backward()
    steps = [0.1 * p.grad.numpy() for p in bridge.parameters()]
    optimiser.step()
    after = jax.tree.leaves(eqx.filter(bridge.module(), eqx.is_inexact_array))
    for old, step, new in zip(before, steps, after, strict=True):
        np.testing.assert_allclose(new, old - step, rtol=1e-5, atol=1e-7)
    assert eqx.tree_equal(back, module)  # a copy, which the step does not change


def test_between_layers_of_torch_and_in_a_state_dictionary():
    module, _ = MODULES["equilibrium"]
    model = torch.nn.Sequential(torch.nn.Linear(7, 3), interop.TorchModule(module))
    model(torch.ones(4, 7)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert {name.split(".")[0] for name in model.state_dict()} == {"0", "1"}
    other = torch.nn.Sequential(torch.nn.Linear(7, 3), interop.TorchModule(module))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(torch.ones(4, 7)), model(torch.ones(4, 7)))


def test_a_copy_has_its_own_weights():
    bridge = interop.TorchModule(*MODULES["memory"])
    twin, rows = copy.deepcopy(bridge), torch.tensor(np.asarray(ROWS))
    assert torch.equal(twin(rows), bridge(rows))
    with torch.no_grad():
        next(twin.parameters()).mul_(2)
    assert not torch.equal(twin(rows), bridge(rows))
    assert eqx.tree_equal(bridge.module(), MODULES["memory"][0])


def test_a_change_in_place_before_the_backward_pass_is_refused():
    bridge = interop.TorchModule(*MODULES["memory"])
    y = bridge(torch.ones(2, 3))
    with torch.no_grad():
        next(bridge.parameters()).mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


def test_the_output_may_be_changed_in_place():
    """Although the backward pass of tanh needs its values."""
    module, x = MODULES["memory"][0], torch.ones(1, 3, requires_grad=True)
    bridge = interop.TorchModule(module, lambda memory, row: jnp.tanh(memory.patterns.sum() * row))
    y = bridge(x)
    before = y.detach().clone()
    y.mul_(3).sum().backward()
    np.testing.assert_allclose(x.grad, 3 * float(module.patterns.sum()) * (1 - before**2), rtol=1e-4)


def test_a_module_without_arrays_is_refused():
    with pytest.raises(ValueError, match="no floating-point arrays"):
        interop.TorchModule(eqx.nn.Identity())
