"""What makes a run fast must not change what it computes: compiled and plain functions from the same state."""

import importlib
import json

import numpy as np
import pytest
import torch
from conftest import ROOT, run_process

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]
CONTINUOUS_OBS, NUM_CHOICES = 5, (3, 3, 3)


def make(name, device, **flags):
    """A script with networks, filled memory and optimiser, the same ones for the same name and device."""
    script = importlib.import_module(name)
    device = torch.device(device)
    flags |= dict(buffer_size=2000, batch_size=64, cuda=device.type == "cuda")
    if name.startswith("qmle"):  # so few that there is no noise to draw for the delta: a compiler may draw it earlier
        flags["num_greedy_samples"] = 100
    args = script.Args(**flags)
    script.set_up_torch(args, device)
    torch.manual_seed(0)
    last = {"qmle_continuous": (3, 3), "qmle_discrete": (NUM_CHOICES, True), "dqn_discretized": (NUM_CHOICES,)}[name]
    network, target = (script.QNetwork(CONTINUOUS_OBS, *last).to(device) for _ in range(2))
    memory, rng = script.ReplayMemory(args, CONTINUOUS_OBS, 3, device), np.random.default_rng(0)
    for i in range(900):
        obs, next_obs = rng.standard_normal((2, CONTINUOUS_OBS)).astype(np.float32)
        action = rng.uniform(-1, 1, 3) if name == "qmle_continuous" else rng.integers(3, size=3)
        memory.add(obs, action, float(i % 7), next_obs, i % 5 == 0)
    memory.remember(torch.arange(900, device=device), memory.a_max[:900], torch.rand(900, device=device) * 5)
    adam = dict(lr=args.learning_rate, fused=True, capturable=device.type == "cuda")
    optimizer = torch.optim.Adam(network.parameters(), **adam)
    return script, args, network, target, optimizer, memory


def losses_and_actions(monkeypatch, name, device, num_updates=8, **flags):
    script, args, network, target, optimizer, memory = make(name, device, **flags)
    if args.compile:
        for function in ("greedy_action", "training_loss"):
            monkeypatch.setattr(script, function, script.compiled(getattr(script, function)))
        if device == "cuda":
            memory.sample, memory.remember = (
                script.compiled(memory.sample),
                script.compiled(memory.remember),
            )
    update = script.fast(args, torch.device(device), script.train_step, network, target, optimizer, memory, args)
    policy = script.make_policy(network, args)
    rng, metrics, actions = np.random.default_rng(1), [], []
    for _ in range(num_updates):
        metrics.append([value.item() for value in update().values()])
        actions.append(policy(rng.standard_normal(CONTINUOUS_OBS).astype(np.float32)))
    monkeypatch.undo()
    assert args.compile == flags["compile"]  # it has not been switched off on the way
    state = [value.cpu().numpy() for value in network.state_dict().values()]
    return np.array(metrics), np.stack(actions), [*state, memory.rows.cpu().numpy(), memory.priorities.cpu().numpy()]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["qmle_continuous", "qmle_discrete", "dqn_discretized"])
def test_compiled_computes_what_plain_computes(name, device, monkeypatch):
    plain = losses_and_actions(monkeypatch, name, device, compile=False, cudagraphs=False, mixed_precision=False)
    fast = losses_and_actions(monkeypatch, name, device, compile=True, cudagraphs=True, mixed_precision=False)
    assert np.allclose(plain[0], fast[0], rtol=1e-4, atol=1e-5)
    assert np.allclose(plain[1], fast[1], atol=1e-6)  # the same actions chosen
    assert plain[0].std(0)[0] > 0.01  # and there was something to differ in
    for one, two in zip(plain[2], fast[2], strict=True):
        # Adam moves a weight by up to the learning rate even where its gradient is nothing but rounding
        assert np.abs(one - two).mean() < 1e-4 and np.abs(one - two).max() < 8 * 5e-4 + 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_chooses_as_good_an_action(device):
    script, args, network, *_ = make("qmle_continuous", device, compile=False)
    with torch.no_grad():
        network.joint_output.weight.mul_(50)  # values of the size that training ends with
        features = network.obs_stream(torch.randn(256, CONTINUOUS_OBS, device=device))
        actions = torch.rand(256, 101, 3, device=device) * 2 - 1
        q = network.q_values(features, actions)
        index = script.argmax_action(network, features, actions, bfloat16=True)[1]
        lost = q.amax(1) - q.gather(1, index.unsqueeze(1)).squeeze(1)
    assert (lost >= 0).all() and lost.max() < 0.1 * q.std(1).mean()
    assert lost.mean() < 0.01 * q.std(1).mean()
    assert 0 < (lost > 0).float().mean() < 0.5  # it was bfloat16, and mostly it did not matter


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", ["qmle_continuous", "qmle_discrete", "dqn_discretized"])
def test_same_seed_same_numbers_on_cuda(name, monkeypatch):
    flags = dict(compile=True, cudagraphs=True, num_updates=30)
    one, two = (losses_and_actions(monkeypatch, name, "cuda", **flags) for _ in range(2))
    assert one[0].tolist() == two[0].tolist() and one[1].tolist() == two[1].tolist()


def test_without_a_compiler_one_line_says_so_and_training_goes_on(tmp_path):
    flags = "--env-id Pendulum-v1 --total-timesteps 250 --learning-starts 100 --batch-size 32 --buffer-size 5000"
    nothing = {"CXX": "/nonexistent", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    failed = run_process(ROOT / "qmle_continuous.py", flags, tmp_path, **nothing)
    assert failed.returncode == 0, failed.stderr
    (line,) = [line for line in failed.stderr.splitlines() if "--compile" in line]
    assert "does not work here" in line and "Traceback" not in failed.stderr
    plain = run_process(ROOT / "qmle_continuous.py", f"{flags} --no-compile", tmp_path, CUDA_VISIBLE_DEVICES="")
    assert plain.returncode == 0
    configs = [json.loads(path.read_text())["args"] for path in sorted(tmp_path.glob("runs/*/config.json"))]
    assert not configs[0]["compile"] and not configs[0]["mixed_precision"] and configs[0] == configs[1]
    one, two = sorted(tmp_path.glob("runs/*/episodes.csv"))
    rows = [[row.split(",")[:3] for row in path.read_text().splitlines()] for path in (one, two)]
    assert rows[0] == rows[1] and len(rows[0]) == 2
