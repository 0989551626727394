"""Data: sources, partitions, and what a client holds. Free of torch, so that any actor may import it."""

from raygan.data.arrays import Arrays, DomainInfo
from raygan.data.client import forget_domains, load_client
from raygan.data.holdings import DomainSurvey, survey_domain, survey_domains, with_common_classes
from raygan.data.shape import ClientSlice, CommonShape, client_slices, common_shape
from raygan.data.source import describe_domain, domain_label, domain_names, load_domain

__all__ = [
    "Arrays",
    "ClientSlice",
    "CommonShape",
    "DomainInfo",
    "DomainSurvey",
    "client_slices",
    "common_shape",
    "describe_domain",
    "domain_label",
    "domain_names",
    "forget_domains",
    "load_client",
    "load_domain",
    "survey_domain",
    "survey_domains",
    "with_common_classes",
]
