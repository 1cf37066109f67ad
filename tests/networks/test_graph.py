"""Laws of graphs, on random graphs."""

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from hopfax.networks.graph import Graph

NAMES = tuple("abcdefgh")


@st.composite
def graphs(draw):
    """Layers and edges; sometimes a hyperedge of three layers."""
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    pairs = list(itertools.combinations(names, 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    hyperedge = [names[:3]] if len(names) > 2 and draw(st.booleans()) else []
    return names, (*edges, *hyperedge)


def joined(graph: Graph, a: str, b: str) -> bool:
    return any(a in edge and b in edge for edge in graph.edges)


def two_colourable(graph: Graph) -> bool:
    """By trying every colouring."""
    pairs = [(a, b) for a, b in itertools.combinations(range(len(graph.layers)), 2)]
    pairs = [(a, b) for a, b in pairs if joined(graph, graph.layers[a], graph.layers[b])]
    return any(
        all(colouring[a] != colouring[b] for a, b in pairs)
        for colouring in itertools.product((0, 1), repeat=len(graph.layers))
    )


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_colours_are_proper_and_partition_the_layers(graph):
    graph = Graph(*graph)
    colours = graph.colours()
    assert sorted(itertools.chain(*colours)) == sorted(graph.layers)
    assert not any(joined(graph, a, b) for names in colours for a, b in itertools.combinations(names, 2))
    assert graph.layers[-1] in colours[-1]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_at_most_two_colours_exactly_if_no_odd_cycle(graph):
    graph = Graph(*graph)
    bipartite = two_colourable(graph)
    assert (graph.odd_cycle() is None) == bipartite
    assert (len(graph.colours()) <= 2) == bipartite


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_odd_cycle_is_a_closed_odd_walk_along_edges_without_repeats(graph):
    graph = Graph(*graph)
    cycle = graph.odd_cycle()
    if cycle is None:
        return
    steps = list(itertools.pairwise(cycle))
    assert cycle[0] == cycle[-1]
    assert len(steps) % 2 == 1
    assert all(joined(graph, a, b) for a, b in steps)
    assert len(set(cycle[:-1])) == len(cycle) - 1


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_components_partition_the_layers_and_no_edge_joins_two_of_them(graph):
    graph = Graph(*graph)
    components = graph.components()
    where = {name: i for i, names in enumerate(components) for name in names}
    assert sorted(where) == sorted(graph.layers)
    assert all(len({where[name] for name in edge}) == 1 for edge in graph.edges)
    reached = {i: {names[0]} for i, names in enumerate(components)}
    for _ in graph.layers:
        reached = {i: set(r).union(*(graph.neighbours(n) for n in r)) for i, r in reached.items()}
    assert all(reached[i] == set(names) for i, names in enumerate(components))


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6])
def test_in_a_chain_the_last_class_has_the_layers_of_the_last_layers_parity(length):
    names = NAMES[:length]
    graph = Graph(names, tuple(itertools.pairwise(names)))
    assert set(graph.colours()[-1]) == set(names[(length - 1) % 2 :: 2])


@pytest.mark.parametrize("length", [3, 5, 7])
def test_a_ring_of_odd_length_is_its_own_odd_cycle(length):
    names = NAMES[:length]
    cycle = Graph(names, (*itertools.pairwise(names), (names[-1], names[0]))).odd_cycle()
    assert cycle is not None
    assert set(cycle) == set(names)


def test_an_edge_of_several_unknown_layers_is_refused_naming_the_first():
    with pytest.raises(ValueError, match="unknown layer 'x'"):
        Graph(("a", "b"), (("a", "x", "y"),))
