"""Similarities as one product, against the sums that they stand for."""

import math

import torch

from engine.memory.read import nearness, similarity


def test_similarity_is_the_weighted_squared_distance():
    draw = torch.Generator().manual_seed(3)
    key, query = (torch.randn(2, 5, count, generator=draw) for count in (7, 4))
    shrinkage = 1 + torch.rand(2, 1, 7, generator=draw)
    selection = torch.rand(2, 5, 4, generator=draw)
    difference = key[:, :, :, None] - query[:, :, None]
    expected = -(selection[:, :, None] * difference**2).sum(1) * shrinkage.transpose(1, 2) / math.sqrt(5)
    torch.testing.assert_close(similarity(key, shrinkage, query, selection), expected)
    plain = -(difference**2).sum(1) / math.sqrt(5)
    torch.testing.assert_close(similarity(key, None, query, None), plain)


def test_nearness_takes_off_the_squared_distance_of_places():
    height, width, reach = 3, 5, torch.tensor(1.7)
    places = torch.tensor([(y, x) for y in range(height) for x in range(width)], dtype=torch.float32)
    expected = -(torch.cdist(places, places) ** 2) / (2 * 1.7**2)
    key = torch.zeros(1, 2, height * width)
    scores = similarity(key, None, key, None, nearness(height, width, reach))
    torch.testing.assert_close(scores[0], expected, atol=1e-4, rtol=1e-4)
