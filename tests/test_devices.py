import pytest
import torch
from torch import distributed
from torch.nn import functional

from course_utils import devices


def test_auto_takes_cuda_where_it_is_found(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.pick() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.pick() == torch.device("cuda")
    assert devices.pick("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize(
    "name", ["cuda", "cuda:0", "mps", "tpu", "", "cpu:1", "cpu:x", "cuda:-1", "cpu:", "cpu:00", "cpu:٠"]
)
def test_a_device_that_is_not_here_is_named(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"no device {name!r} here; this machine has cpu;"):
        devices.pick(name)


def test_mps_is_taken_on_request_only_and_only_if_it_computes_correctly(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.pick() == torch.device("cpu")
    monkeypatch.setattr(devices, "self_check", lambda device: (True, f"The device {device} is right."))
    assert devices.pick("mps") == torch.device("mps")
    monkeypatch.setattr(devices, "self_check", lambda device: (False, f"The device {device} is wrong."))
    with pytest.raises(RuntimeError, match=r"The device mps is wrong. Use 'cpu' instead."):
        devices.pick("mps")


def test_this_device_computes_correctly():
    correct, sentence = devices.self_check(devices.pick())
    assert correct
    assert "computes correctly (relative errors: matmul " in sentence


@pytest.mark.parametrize("fault", [lambda x: x + 1e-2, lambda x: x * float("nan"), lambda x: x.bfloat16()])
@pytest.mark.parametrize(
    ("module", "function", "name"), [(torch, "softmax", "softmax"), (functional, "layer_norm", "layer norm")]
)
def test_the_self_check_sees_a_wrong_operation(monkeypatch, module, function, name, fault):
    right = getattr(module, function)

    def wrong_in_float32(x, *args, **kwargs):
        result = right(x, *args, **kwargs)
        return fault(result) if x.dtype == torch.float32 else result

    monkeypatch.setattr(module, function, wrong_in_float32)
    correct, sentence = devices.self_check(torch.device("cpu"))
    assert not correct
    assert f"computes {name} wrongly" in sentence


def test_instructions_for_bfloat16_are_asked_of_torch(monkeypatch):
    for here in (True, False):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda here=here: {"avx512_bf16": here}, raising=False
        )
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, here=here: here)
        for kind in ("cpu", "cuda"):
            assert devices.multiplies_bfloat16(torch.device(kind)) == here
    assert not devices.multiplies_bfloat16(torch.device("mps"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)  # of a processor that is no x86
    assert not devices.multiplies_bfloat16(torch.device("cpu"))


@pytest.fixture
def asked_anew():
    devices.trains_in_bfloat16.cache_clear()
    yield
    devices.trains_in_bfloat16.cache_clear()


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize(
    ("has_instructions", "seconds", "pays"),
    [
        (True, [1.0, 9.0], True),
        (True, [2.0, 2.0], False),
        (True, [3.0, 4.0], False),
        (False, [0.0, 1.0], False),
    ],
)
def test_training_in_bfloat16_pays_where_its_products_are_faster(
    monkeypatch, has_instructions, seconds, pays
):
    """The least of several rounds counts: those of float32 take 2 and, disturbed, 8 seconds."""
    found = {torch.float32: iter([8.0, 2.0] * 5), torch.bfloat16: iter(seconds * 5)}
    monkeypatch.setattr(devices, "multiplies_bfloat16", lambda device: has_instructions)
    monkeypatch.setattr(devices, "seconds_of_a_product", lambda dtype: next(found[dtype]))
    assert devices.trains_in_bfloat16(torch.device("cpu")) == pays
    assert devices.describe()["mixed precision"].startswith("bfloat16" if pays else "float32")
    assert next(found[torch.float32]) == (2.0 if has_instructions else 8.0)  # asked once, or not at all


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("here", [True, False])
def test_ranks_train_in_bfloat16_only_where_that_is_faster_for_all(here, monkeypatch):
    """Each with its own stopwatch, their weights would part."""
    monkeypatch.setattr(devices, "multiplies_bfloat16", lambda device: here)
    monkeypatch.setattr(devices, "seconds_of_a_product", lambda dtype: float(dtype == torch.float32))
    assert devices.trains_in_bfloat16(torch.device("cpu")) == here
    devices.trains_in_bfloat16.cache_clear()
    heard = []

    def with_one_that_is_slower(faster, how):
        heard.append((faster.item(), how))
        faster.fill_(min(faster.item(), 0))

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "all_reduce", with_one_that_is_slower)
    assert not devices.trains_in_bfloat16(torch.device("cpu"))
    assert heard == [(here, distributed.ReduceOp.MIN)]  # also said where there are no instructions


@pytest.mark.usefixtures("asked_anew")
def test_of_a_gpu_the_instructions_alone_tell(monkeypatch):
    monkeypatch.setattr(devices, "seconds_of_a_product", None)
    for here in (True, False):
        devices.trains_in_bfloat16.cache_clear()
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, here=here: here)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert devices.trains_in_bfloat16(torch.device("cuda")) == here


def test_a_product_takes_time():
    assert 0 < devices.seconds_of_a_product(torch.float32) < 5


@pytest.mark.parametrize("here", [True, False])
def test_the_oldest_torch_is_asked_in_its_own_way(monkeypatch, here):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: here)
    assert devices.multiplies_bfloat16(torch.device("cpu")) == here


def test_describe_tells_of_the_threads(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    facts = devices.describe()
    assert facts["torch"] == torch.__version__
    assert facts["device"].startswith(str(devices.pick()))
    assert facts["threads"].startswith(f"{torch.get_num_threads()} of ")
    assert facts["threads"].endswith("OMP_WAIT_POLICY=PASSIVE, GOMP_SPINCOUNT=not set")
