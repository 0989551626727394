"""Data: sources, partitions, and what a client holds. Free of torch, so that any actor may import it."""

from raygan.data.arrays import Arrays, Outline
from raygan.data.client import (
    ClientData,
    ClientSlice,
    ImageSet,
    client_slices,
    forget_domains,
    load_client,
    test_set,
    train_set,
)
from raygan.data.holdings import DomainSurvey, Holding, survey_domain, survey_domains
from raygan.data.partition import deal
from raygan.data.shape import CommonShape, common_shape, to_float, to_shape
from raygan.data.source import (
    DomainInfo,
    describe_domain,
    domain_label,
    domain_names,
    load_domain,
    outline_domain,
)

__all__ = [
    "Arrays",
    "ClientData",
    "ClientSlice",
    "CommonShape",
    "DomainInfo",
    "DomainSurvey",
    "Holding",
    "ImageSet",
    "Outline",
    "client_slices",
    "common_shape",
    "deal",
    "describe_domain",
    "domain_label",
    "domain_names",
    "forget_domains",
    "load_client",
    "load_domain",
    "outline_domain",
    "survey_domain",
    "survey_domains",
    "test_set",
    "to_float",
    "to_shape",
    "train_set",
]
