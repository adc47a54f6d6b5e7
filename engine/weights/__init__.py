"""Weights: which there are, where they lie, reading them safely, telling what they are."""

from engine.weights.catalogue import CATALOGUE, Entry
from engine.weights.convert import convert_weights, save_weights
from engine.weights.download import fetch
from engine.weights.find import find_weights, place_of, weights_folder
from engine.weights.load import load_state_dict, model_description
from engine.weights.recognise import recognise, strict_load

__all__ = [
    "CATALOGUE",
    "Entry",
    "convert_weights",
    "fetch",
    "find_weights",
    "load_state_dict",
    "model_description",
    "place_of",
    "recognise",
    "save_weights",
    "strict_load",
    "weights_folder",
]
