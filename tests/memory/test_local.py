"""The local read of a few rows at a time against the network's own, all places at once."""

import pytest
import torch

from engine.memory.read import affinity, nearness, readout, similarity
from engine.nn.key import Key
from engine.propagation.near import PreviousFrame

REACH = 1.3


class Network:
    """The part of an MMPM that is asked here."""

    reach = torch.tensor(REACH, dtype=torch.float64).log()

    def read_near(self, query: Key, previous: Key, value: torch.Tensor) -> torch.Tensor:
        height, width = value.shape[-2:]
        near = nearness(height, width, self.reach.exp())
        scores = similarity(previous.key, previous.shrinkage, query.key, query.selection, near)
        return readout(affinity(scores), value.flatten(3)).unflatten(3, (height, width))


@pytest.mark.parametrize(("grid", "spread"), [((40, 31), 0.3), ((40, 31), 3.0), ((3, 400), 0.3), ((1, 1), 1.0)])
def test_rows_that_cannot_count_are_not_missed(grid: tuple[int, int], spread: float) -> None:
    generator = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    places = grid[0] * grid[1]
    previous = Key(draw(1, 8, places) + 5, 1 + draw(1, 1, places) ** 2, draw(1, 8, places).sigmoid())
    query = Key(previous.key + spread * draw(1, 8, places), previous.shrinkage, draw(1, 8, places).sigmoid())
    values, read = draw(3, 6, *grid), draw(3, 6, *grid)
    near = PreviousFrame(Network())
    near.put(previous, values)
    with torch.inference_mode():
        found = near.beside(read, query)
    assert torch.equal(found[:, :6], read)
    exact = [Key(*(part.double() for part in key)) for key in (query, previous)]
    wanted = Network().read_near(exact[0], exact[1], values[None].double())[0]
    torch.testing.assert_close(found[:, 6:].double(), wanted, atol=1e-4, rtol=1e-3)
