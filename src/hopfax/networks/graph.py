"""The graph whose nodes are layers and whose edges are synapses: its colouring, odd cycles and components."""

import dataclasses
from collections import deque
from collections.abc import Set


@dataclasses.dataclass(frozen=True)
class Graph:
    """Layers, which are the nodes, and the groups of layers that share a synapse, which are the edges.

    A synapse of more than two layers is a hyperedge.

    Args:
        layers: the names, in order.
        edges: for each synapse, the names of its layers.
    Raises: `ValueError` for an edge to an unknown layer.
    """

    layers: tuple[str, ...]
    edges: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        for edge in self.edges:
            if unknown := [name for name in edge if name not in self.layers]:
                raise ValueError(
                    f"edge {edge} names an unknown layer {unknown[0]!r}; the layers are {self.layers}."
                )

    def neighbours(self, layer: str) -> tuple[str, ...]:
        """The other layers that share a synapse with `layer`, in order."""
        joined = {other for edge in self.edges if layer in edge for other in edge}
        return tuple(name for name in self.layers if name in joined and name != layer)

    def components(self) -> tuple[tuple[str, ...], ...]:
        """The connected components: no synapse joins layers of two of them."""
        parents = self._search()[1]
        roots = {name: _root(name, parents) for name in self.layers}
        return tuple(
            tuple(name for name in self.layers if roots[name] == root)
            for root in dict.fromkeys(roots.values())
        )

    def odd_cycle(self) -> tuple[str, ...] | None:
        """A cycle over an odd number of layers, with its first layer repeated at the end; None if there is none.

        A graph without one is bipartite, and even-odd splitting needs that.
        """
        depth, parents = self._search()
        for a in self.layers:
            for b in self.neighbours(a):
                if depth[a] % 2 == depth[b] % 2:
                    return _close(_path(a, parents), _path(b, parents))
        return None

    def colours(self) -> tuple[tuple[str, ...], ...]:
        """Classes of layers that share no synapse, so that the layers of a class can be updated at once.

        There are two classes if the graph is bipartite. Otherwise the colouring is greedy, layers of highest degree
        first. The class of the last layer comes last.
        """
        if self.odd_cycle() is None:
            depth, _ = self._search()
            colour = {name: depth[name] % 2 for name in self.layers}
        else:
            colour = self._greedy()
        classes = [tuple(n for n in self.layers if colour[n] == c) for c in sorted(set(colour.values()))]
        return tuple(sorted(classes, key=lambda names: self.layers[-1] in names))

    def without(self, layers: Set[str]) -> "Graph":
        """The graph of the other layers, and of what is left of the edges."""
        rest = lambda names: tuple(name for name in names if name not in layers)
        return Graph(rest(self.layers), tuple(map(rest, self.edges)))

    def independent_set(self, allowed: Set[str]) -> tuple[str, ...]:
        """Layers of `allowed`, each with a neighbour, that share no synapse; no more of `allowed` can be added.

        Layers of the first colour are chosen first. If the graph is bipartite and all layers are allowed, the result is
        the first colour.
        """
        chosen: list[str] = []
        for name in (name for names in self.colours() for name in names if name in allowed):
            neighbours = self.neighbours(name)
            if neighbours and not set(neighbours) & set(chosen):
                chosen.append(name)
        return tuple(name for name in self.layers if name in chosen)

    def _search(self) -> tuple[dict[str, int], dict[str, str | None]]:
        """The depths and parents of a breadth-first search from the last layer of each component.

        The layers of the output's parity then have depths 0, 2, ...
        """
        depth: dict[str, int] = {}
        parents: dict[str, str | None] = {}
        for start in reversed(self.layers):
            if start not in depth:
                self._search_from(start, depth, parents)
        return depth, parents

    def _search_from(self, start: str, depth: dict[str, int], parents: dict[str, str | None]) -> None:
        depth[start], parents[start] = 0, None
        queue = deque([start])
        while queue:
            name = queue.popleft()
            for other in self.neighbours(name):
                if other not in depth:
                    depth[other], parents[other] = depth[name] + 1, name
                    queue.append(other)

    def _greedy(self) -> dict[str, int]:
        colour: dict[str, int] = {}
        for name in sorted(self.layers, key=lambda n: -len(self.neighbours(n))):
            used = {colour[other] for other in self.neighbours(name) if other in colour}
            colour[name] = next(c for c in range(len(self.layers)) if c not in used)
        return colour


def _path(name: str, parents: dict[str, str | None]) -> tuple[str, ...]:
    """The path from `name` to the root of its search tree."""
    parent = parents[name]
    return (name,) if parent is None else (name, *_path(parent, parents))


def _root(name: str, parents: dict[str, str | None]) -> str:
    return _path(name, parents)[-1]


def _close(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """The cycle of two paths to the root and the edge between their starts."""
    meeting = next(name for name in a if name in b)
    return (*a[: a.index(meeting) + 1], *reversed(b[: b.index(meeting)]), a[0])
