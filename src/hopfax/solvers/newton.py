"""Newton's method with defaults that fit equilibria: no dense Jacobian."""

import lineax as lx
from optimistix import Newton


def newton(rtol: float = 1e-4, restart: int = 30, max_products: int = 90) -> Newton:
    """`z ← z - (J - I)⁻¹ (f(z) - z)` by optimistix's `Newton` and restarted GMRES, so matrix-free.

    For the last digits from a good start, such as another solver's equilibrium: a handful of steps to machine
    precision. Far from an equilibrium it may go to a saddle or diverge, for no energy guards it.
    `Newton(rtol, atol)` itself works in `hopfax.relax` too and forms the Jacobian of the kept layers, faster
    where they are few; so does `Chord`, with the Jacobian of the start, but only with a direct linear solver.

    Where GMRES misses `rtol` after `max_products` Jacobian products the vector it has is used: nothing is
    raised, and the loop judges the point reached by its own residual.
    Args: `rtol` of each linear solve, in (0, 1); `restart` directions are stored.
    """
    if not 0 < rtol < 1:
        raise ValueError(f"`newton(rtol={rtol})` must lie in (0, 1); 1e-4 gains four digits a step.")
    if restart < 1 or max_products < 1:
        raise ValueError(f"`newton(restart={restart}, max_products={max_products})` must both be at least 1.")
    solver = lx.GMRES(rtol=rtol, atol=0.0, restart=restart, max_steps=max_products)
    return Newton(rtol=1e-5, atol=1e-6, linear_solver=solver)
