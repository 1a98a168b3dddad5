"""Kernels are exchanged for a whole process, so all of it is in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import json, warnings
warnings.simplefilter("error")
import numpy as np
import torch
from medbench.running.portable_roots import BY_NUMPY, exchange_kernels

torch.manual_seed(0)
x = torch.rand(1003, 7)
powers = (-0.5, 0.0, 1.0, 2.0, 3, 1.5, -1)
before = {str(p): (x**p).clone() for p in powers}
exchange_kernels()
exchange_kernels()
same = {}
for name, ufunc in BY_NUMPY.items():
    of = getattr(torch, name)
    narrow = torch.bfloat16, torch.float16, torch.int64, torch.bool
    for dtype in (torch.float32, torch.float64, torch.complex64, *narrow):
        y = x.to(dtype)
        wide = y.float() if dtype in narrow else y
        kind = dtype if dtype.is_floating_point or dtype.is_complex else torch.float32
        wanted = torch.from_numpy(ufunc(wide.numpy())).to(kind)
        same[f"{name} {dtype}"] = torch.equal(of(y), wanted) and of(y).dtype == kind
    wanted = torch.from_numpy(ufunc(x.numpy()))
    same[f"{name} transposed"] = torch.equal(of(x.T), wanted.T)
    same[f"{name} every other"] = torch.equal(of(x[::2, ::3]), wanted[::2, ::3])
    same[f"{name} one number"] = torch.equal(of(x[0, 0]), wanted[0, 0])
    same[f"{name} none"] = of(x[:0]).shape == (0, 7)
    same[f"{name} out"] = torch.equal(of(x, out=torch.empty(0)), wanted)
    same[f"{name} in place"] = torch.equal(getattr(x.clone(), name + "_")(), wanted)
    same[f"{name} expanded"] = torch.equal(of(x[:1].expand(5, 7)), wanted[:1].expand(5, 7))
    grown = x[:4].double().mul(0.5).add(0.1).requires_grad_()
    same[f"{name} gradient"] = torch.autograd.gradcheck(of, grown)
root = torch.from_numpy(np.sqrt(x.numpy()))
same["x ** 0.5"] = torch.equal(x**0.5, root)
same["pow, in place"] = torch.equal(x.clone().pow_(0.5), root)
same["pow, out"] = torch.equal(torch.pow(x, 0.5, out=torch.empty(0)), root)
same["of a list"] = torch.equal(torch._foreach_sqrt([x])[0], root)
same["of a negative"] = bool(torch.tensor([-1.0]).sqrt().isnan().all())
for power, wanted in before.items():
    same["to the " + power] = torch.equal(x ** float(power), wanted)
    same["in place to the " + power] = torch.equal(x.clone().pow_(float(power)), wanted)
parameter = torch.nn.Parameter(torch.zeros_like(x))
parameter.grad = x
optimiser = torch.optim.RMSprop([parameter], lr=1, eps=0)
optimiser.step()  # divides by a root
squares = optimiser.state[parameter]["square_avg"]
same["in an optimiser"] = torch.equal(-parameter.detach(), x / torch.from_numpy(np.sqrt(squares.numpy())))
print(json.dumps(same))
"""


def test_roots_and_angles_are_numpys_in_every_form() -> None:
    pytest.importorskip("torch")
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    same: dict[str, Any] = json.loads(ran.stdout)
    assert [name for name, is_same in same.items() if not is_same] == []
    assert len(same) > 60
