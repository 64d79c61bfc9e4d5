"""Genes: expression, copy number and variants, in an order of the chip, of values, or of place."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from benchmarks.order.case import (
    EITHER,
    PERMUTABLE,
    Made,
    Random,
    Table,
    classes_by,
    family,
    line,
)


def _modules(random: Random, rows: int, genes: int, modules: int) -> tuple[Table, Table]:
    """Return expression of genes that belong to modules, module after module, and their levels."""
    levels = random.normal(size=(rows, modules))
    weights = random.uniform(0.5, 1.2, genes) * np.where(random.random(genes) < 0.3, -1, 1)
    of_gene = np.arange(genes) * modules // genes
    X = levels[:, of_gene] * weights + 0.7 * random.normal(size=(rows, genes))
    return X + random.uniform(2, 12, genes), levels


@family(
    "genes",
    {"rows": 80, "genes": 200, "modules": 8},
    {"rows": 200, "genes": 100, "modules": 6},
    {"rows": 300, "genes": 60, "modules": 4},
)
def genes_unsorted(random: Random, rows: int, genes: int, modules: int) -> Made:
    """Expression of genes in the order of a chip.

    Permutable: genes that work together stand anywhere.
    """
    X, levels = _modules(random, rows, genes, modules)
    X = X[:, random.permutation(genes)]
    return Made(X, classes_by(levels[:, 0], random), PERMUTABLE)


@family(
    "genes", {"rows": 100, "genes": 120, "modules": 8}, {"rows": 250, "genes": 80, "modules": 5}
)
def genes_by_mean(random: Random, rows: int, genes: int, modules: int) -> Made:
    """Genes sorted by their mean expression.

    Permutable: equally active genes do not work together.
    """
    X, levels = _modules(random, rows, genes, modules)
    X = X[:, np.argsort(X.mean(axis=0))]
    return Made(X, classes_by(levels[:, 0], random), PERMUTABLE)


@family(
    "genes", {"rows": 100, "genes": 120, "modules": 8}, {"rows": 250, "genes": 60, "modules": 5}
)
def genes_by_module(random: Random, rows: int, genes: int, modules: int) -> Made:
    """Genes of the same module stand together.

    Permutable: within a module, and among modules, there is no order.
    """
    X, levels = _modules(random, rows, genes, modules)
    return Made(X, classes_by(levels[:, 0], random), PERMUTABLE)


@family(
    "genes", {"rows": 100, "genes": 100, "modules": 6}, {"rows": 250, "genes": 60, "modules": 4}
)
def genes_as_heat_map(random: Random, rows: int, genes: int, modules: int) -> Made:
    """Genes in the order of a hierarchical clustering with optimal leaves, as heat maps show them.

    Either: neighbours are alike, by construction; but the order was made from the same numbers,
    and a shuffle loses nothing that clustering would not find again.
    """
    X, levels = _modules(random, rows, genes, modules)
    tree = linkage(X.T, "average", metric="correlation", optimal_ordering=True)
    return Made(X[:, leaves_list(tree)], classes_by(levels[:, 0], random), EITHER)


@family(
    "genes",
    {"rows": 150, "genes": 100, "reach": 6},
    {"rows": 400, "genes": 60, "reach": 4},
    {"rows": 60, "genes": 200, "reach": 8},
    shuffles=True,
)
def genes_by_place(random: Random, rows: int, genes: int, reach: int) -> Made:
    """Expression along a chromosome, of which open stretches are active together.

    A grid along the line: the closer two genes, the more they are expressed together.
    """
    away = np.arange(-3 * reach, 3 * reach + 1)
    kernel = np.exp(-np.square(away / reach))
    noise = random.normal(size=(rows, genes + 6 * reach))
    open_ = np.stack([np.convolve(row, kernel, "valid") for row in noise]) / np.linalg.norm(kernel)
    X = open_ + 0.5 * random.normal(size=open_.shape) + random.uniform(2, 12, genes)
    return Made(X, classes_by(open_[:, genes // 3], random), line(genes))


@family("genes", {"rows": 200, "places": 90}, {"rows": 300, "places": 60}, shuffles=True)
def copy_numbers(random: Random, rows: int, places: int) -> Made:
    """Copy numbers along the genome: stretches that are lost or doubled, measured with noise.

    A grid along the line of the genome.
    """
    X = 0.25 * random.normal(size=(rows, places))
    lost = np.zeros(rows)
    for row in range(rows):
        for _ in range(int(random.integers(1, 6))):
            start, length = random.integers(0, places), random.integers(places // 12, places // 3)
            change = random.choice([-1.0, 1.0])
            X[row, start : start + length] += change
            lost[row] -= change
    return Made(X, classes_by(lost, random, noise=0.1), line(places))


@family(
    "genes",
    {"rows": 500, "places": 80, "reach": 0.9},
    {"rows": 800, "places": 40, "reach": 0.8},
    shuffles=True,
)
def variants_in_linkage(random: Random, rows: int, places: int, reach: float) -> Made:
    """Variants (0, 1 or 2 copies) along a chromosome; close ones are inherited together.

    A grid along the line of the chromosome.
    """
    latent = random.normal(size=(2, rows, places))
    for place in range(1, places):
        latent[:, :, place] *= np.sqrt(1 - reach**2)
        latent[:, :, place] += reach * latent[:, :, place - 1]
    X = (latent > random.uniform(-0.5, 1, places)).sum(axis=0).astype(float)
    return Made(
        X, classes_by(X[:, places // 2 : places // 2 + 3].sum(axis=1), random), line(places)
    )


@family("genes", {"rows": 300, "proteins": 40})
def flow_panel(random: Random, rows: int, proteins: int) -> Made:
    """Proteins of single cells of several types, without labels.

    Permutable: the panel lists proteins in no order.
    """
    kinds = random.normal(size=(5, proteins)) * 1.5
    X = kinds[random.integers(0, 5, rows)] + random.normal(size=(rows, proteins))
    return Made(np.exp(X), None, PERMUTABLE)


@family(
    "genes",
    {"rows": 150, "genes": 80, "modules": 4},
    {"rows": 300, "genes": 40, "modules": 1},
)
def quality_of_probes(random: Random, rows: int, genes: int, modules: int) -> Made:
    """Modules of genes, measured by probes of which some are much noisier than others.

    Permutable: the genes of a module stand together, and good probes stand anywhere in it.
    """
    activity = random.normal(size=(rows, modules))
    noise = np.exp(random.normal(size=genes))
    module = np.arange(genes) * modules // genes
    X = activity[:, module] + noise * random.normal(size=(rows, genes))
    return Made(X, classes_by(activity[:, 0], random), PERMUTABLE)
