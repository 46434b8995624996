"""Teachers in a few words."""

import subprocess
import sys

import pytest

from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.description import describe_teacher
from lightrec.teachers.fit import BlendConfig
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig

SOFTMAX, IALS = SampledSoftmaxConfig(width=256), IalsConfig(width=128)


@pytest.mark.parametrize(
    ("config", "epochs", "told"),
    [
        (SOFTMAX, (20,), "sampled softmax of 256 numbers, 20 epochs"),
        (IALS, (7,), "iALS of 128 numbers, 7 sweeps"),
        (BprConfig(width=32), (90,), "BPR of 32 numbers, 90 epochs"),
        (SOFTMAX, (), "sampled softmax of 256 numbers"),
    ],
    ids=str,
)
def test_a_teacher_is_told_by_kind_width_and_length(config, epochs, told: str) -> None:
    assert describe_teacher(config.model_dump(), epochs) == told
    assert describe_teacher(config.model_dump(mode="json"), list(epochs)) == told


def test_a_blend_is_told_by_its_parts() -> None:
    settings = BlendConfig(parts=(SOFTMAX, IALS), weights=(1.0, 0.25), width=256).model_dump()
    assert describe_teacher(settings, (20, 4)) == (
        "a blend of 256 numbers (1 x sampled softmax of 256 numbers, 20 epochs + "
        "0.25 x iALS of 128 numbers, 4 sweeps)"
    )
    assert describe_teacher(settings).endswith("+ 0.25 x iALS of 128 numbers)")


def test_a_description_needs_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; "
        "from lightrec.teachers.description import describe_teacher; "
        "print(describe_teacher({'kind': 'ials', 'width': 8}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("iALS of 8 numbers\n", "")
