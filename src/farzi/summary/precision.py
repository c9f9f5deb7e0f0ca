"""As what a summary's numbers are stored: float32, or fewer bits with a scale per latent dimension.

A stored number q stands for q · s. Each tensor has a scale s, float32, for each of the d latent dimensions,
or for each event of full logits. (Of latents in int8, a scale per sequence or position instead is larger and
doubles the error of the logits.) With a the largest absolute value that has the scale:

    int8      s = a / 127, rounded to 11 significant bits. An error is at most s / 2.
    float16   s = a power of two with 2¹⁴ ≤ a / s ≤ 2¹⁵. An error is at most 2⁻¹¹ of the number, or 2⁻²⁵ s.

No number below 2¹²⁷ overflows, and small ones are scaled up before they would underflow. Such scales make
q · s exact in float32. Hence rounding what is rounded already changes no bit.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from farzi.recipe import Precision

SCALE = "_scale"
"""Ends the name of a tensor of scales; before it stands that of the numbers."""

DTYPES: dict[torch.dtype, Precision] = {torch.float16: "float16", torch.int8: "int8"}
"""Types that are stored with scales."""

BITS = 11
LEAST = torch.finfo(torch.float32).tiny


@torch.no_grad()
def stored(parts: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """The tensors that a file holds in place of `parts`, by name."""
    if precision == "float32":
        return dict(parts)
    tensors = {}
    for name, part in parts.items():
        values = part.double()  # the scales' arithmetic is exact there
        others = (0, 1) if name == "latents" else 1
        mantissa, exponent = values.abs().amax(others, keepdim=True).frexp()
        if precision == "int8":
            mantissa, more = (mantissa.where(mantissa.isfinite(), torch.nan) / 127).frexp()
            scale = _rounded(mantissa).ldexp(exponent + more)
        else:
            scale = torch.ones_like(mantissa).ldexp(exponent + (_rounded(mantissa) == 1) - 15)
        scale = scale.clamp(min=LEAST)
        numbers = (values / scale).round() if precision == "int8" else values / scale
        dtype = next(dtype for dtype, name in DTYPES.items() if name == precision)
        tensors |= {name: numbers.to(dtype), name + SCALE: scale.float()}
    return tensors


def restored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parts, float32, that `stored` tensors stand for."""
    scales = {name.removesuffix(SCALE): value for name, value in tensors.items() if name.endswith(SCALE)}
    numbers = {name: value for name, value in tensors.items() if not name.endswith(SCALE)}
    return {name: value.float() * scales[name] if scales else value for name, value in numbers.items()}


def _rounded(mantissa: Tensor) -> Tensor:
    """A mantissa in [1/2, 1], to as many bits as float16 has."""
    return (mantissa * 2**BITS).round() / 2**BITS
