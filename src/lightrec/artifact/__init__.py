"""The artifact: one folder that holds a trained model, and needs no torch to be used."""

from lightrec.artifact.contents import (
    BytesPerItem,
    BytesPerUser,
    Model,
    Selection,
    UserForm,
    Users,
)
from lightrec.artifact.load import load_model, load_model_and_manifest, read_manifest
from lightrec.artifact.manifest import Manifest
from lightrec.artifact.save import check_target, save_model
from lightrec.artifact.verify import check_item_columns, verify

__all__ = [
    "BytesPerItem",
    "BytesPerUser",
    "Manifest",
    "Model",
    "Selection",
    "UserForm",
    "Users",
    "check_item_columns",
    "check_target",
    "load_model",
    "load_model_and_manifest",
    "read_manifest",
    "save_model",
    "verify",
]
