"""Configuration: the schema and the device catalogue."""

from raygan.config.devices import DeviceProfile, catalogue
from raygan.config.schema import Config

__all__ = ["Config", "DeviceProfile", "catalogue"]
