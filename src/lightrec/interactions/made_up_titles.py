"""Book titles that nobody wrote, combined from word lists."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_NOUNS = {
    "Adventure": "Island Compass Expedition Harbour Caravan Voyage Summit Canyon Lagoon Trail",
    "Cooking": "Kitchen Oven Pantry Supper Orchard Bakery Spice Table Market Broth",
    "Crime": "Alibi Witness Verdict Locksmith Ransom Informer Cellar Suspect Ledger Confession",
    "Fantasy": "Dragon Wand Kingdom Oracle Sword Rune Throne Phoenix Enchanter Crown",
    "Gardening": "Rose Hedge Greenhouse Meadow Fern Seedling Terrace Ivy Pond Allotment",
    "History": "Empire Treaty Cathedral Archive Dynasty Siege Parliament Merchant Fortress Map",
    "Music": "Violin Chorus Sonata Drummer Opera Cellist Refrain Overture Piano Ballad",
    "Nature": "River Forest Heron Glacier Tide Fox Marsh Oak Owl Prairie",
    "Romance": "Letter Promise Wedding Kiss Summer Heart Bouquet Waltz Reunion Secret",
    "Science": "Atom Comet Equation Microscope Theorem Crystal Neuron Orbit Enzyme Lens",
    "Science fiction": "Android Starship Colony Signal Nebula Clone Airlock Reactor Moon Probe",
    "Travel": "Ferry Passport Station Hostel Border Detour Lighthouse Bazaar Highway Atlas",
}
_ADJECTIVES = (
    "Silent Golden Broken Hidden Last Crimson Forgotten Wandering Little Northern Burning Paper "
    "Patient Hollow Distant Borrowed Midnight Glass Restless Gentle Salted Unwritten Second Blue "
    "Winter Crooked Invisible Scarlet Quiet Endless"
)
_PLACES = (
    "Alder Bay|Maren|the Old Quarter|Tolvik|Saint Orla|the Seven Hills|Brackwater|Caldera Street|"
    "the Far Shore|Linden Lane|Ostrava Gate|the High Pass|Wexcombe|Port Amity|the Low Country|"
    "Juniper Row|Kestrel Point|the Salt Road|Novara|Thistle Green"
)

CATEGORIES = tuple(_NOUNS)
"""The categories that titles can be made up for."""


def made_up_titles(category: npt.NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """One unique title for each book.

    Args:
        category: position in `CATEGORIES` of every book, int64 (n,).
        rng: chooses among the possible titles.
    """
    titles = [""] * len(category)
    for number, name in enumerate(CATEGORIES):
        books = np.flatnonzero(category == number).tolist()
        possible = _possible_titles(_NOUNS[name].split())
        # Short titles come first; twice as many candidates as books give some variety.
        chosen = rng.permutation(min(len(possible), 2 * len(books)))
        for place, book in enumerate(books):
            volume, which = divmod(place, len(chosen))
            title = possible[chosen[which]]
            titles[book] = f"{title}, volume {volume + 1}" if volume else title
    return titles


def _possible_titles(nouns: list[str]) -> list[str]:
    places = _PLACES.split("|")
    short = [f"The {adjective} {noun}" for adjective in _ADJECTIVES.split() for noun in nouns]
    placed = [f"The {noun} of {place}" for place in places for noun in nouns]
    return [*short, *placed, *(f"{title} of {place}" for place in places for title in short)]
