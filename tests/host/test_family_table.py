"""Every family of the host against every column of docs/models.md that is about the gradient."""

from __future__ import annotations

import itertools

import comfy.supported_models as supported
import pytest
from energy_guidance.tests.host import families
from energy_guidance.tests.host.families import columns, unbuilt

# Asked of every family on every host; the other columns of a family that is new to it.
EVERYWHERE = (columns.stock, columns.gradient)
ASKED = [
    pytest.param(column, *known.values, marks=() if column in EVERYWHERE else known.marks)
    for column in columns.COLUMNS
    for known in families.once(families.FAMILIES)
]


@pytest.mark.parametrize(("column", "family"), ASKED, ids=lambda one: getattr(one, "__name__", one))
def test_of(column, family):
    column(family)


LISTS = (unbuilt.ALIKE, unbuilt.APART, unbuilt.UNTRIED)


def test_every_class_of_the_host_is_looked_at():
    """A class of a newer host that stands nowhere is untested."""
    known = {family.config for family in families.ALL.values()}.union(*LISTS)
    classes = {config.__name__ for config in supported.models}
    assert classes - known == set(), "untested: name them in tests/host/families"


def test_no_class_is_in_two_lists():
    named = [*{family.config for family in families.ALL.values()}, *itertools.chain(*LISTS)]
    assert len(named) == len(set(named))
    assert set(unbuilt.ALIKE.values()) <= families.ALL.keys()


@pytest.mark.parametrize("name", [name for name in unbuilt.ALIKE if hasattr(supported, name)])
def test_what_is_alike_is_the_same_model_of_the_host(name):
    family = families.ALL[unbuilt.ALIKE[name]]
    config = getattr(supported, name)
    assert issubclass(config, getattr(supported, family.config))
