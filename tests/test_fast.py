"""What makes a run fast must not change what it computes."""

import importlib

import numpy as np
import pytest
import torch
from conftest import LEARNING, ROOT, rows, run_process

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]
OBS_SIZE, NUM_CHOICES = 5, (3, 3, 3)
LAST = {
    "qmle_continuous": (3, 3),
    "qmle_discrete": (NUM_CHOICES, True),
    "dqn_discretized": (NUM_CHOICES,),
}


def updates_and_actions(name, device, fast, num_updates=8, **flags):
    """Metrics, greedy actions and the final state of some updates from the same start."""
    script, device = importlib.import_module(name), torch.device(device)
    if name.startswith("qmle"):  # so few that the delta draws no noise: compilers may draw earlier
        flags["num_greedy_samples"] = 100
    args = script.Args(buffer_size=2000, batch_size=64, **flags)
    torch.manual_seed(0)
    network, target = (script.QNetwork(OBS_SIZE, *LAST[name]).to(device) for _ in range(2))
    memory, rng = script.ReplayMemory(args, OBS_SIZE, 3, device), np.random.default_rng(0)
    for i in range(900):
        obs, next_obs = rng.standard_normal((2, OBS_SIZE)).astype(np.float32)
        action = rng.uniform(-1, 1, 3) if name == "qmle_continuous" else rng.integers(3, size=3)
        memory.add(obs, action, float(i % 7), next_obs, i % 5 == 0)
    memory.store()
    td_errors = torch.rand(900, device=device) * 5
    memory.remember(torch.arange(900, device=device), memory.a_max[:900].clone(), td_errors)
    adam = {"lr": 5e-4, "fused": True, "capturable": device.type == "cuda"}
    optimizer = torch.optim.Adam(network.parameters(), **adam)

    def update():
        return script.train_step(network, target, optimizer, memory, args)

    def search(obs):
        return script.greedy_action(network, args, obs)

    plain = script.greedy_action, script.training_loss
    try:
        if fast:
            options = {"dynamic": False, "options": {"fallback_random": True}}
            script.greedy_action = torch.compile(script.greedy_action, **options)
            script.training_loss = torch.compile(script.training_loss, **options)
            if device.type == "cuda":
                torch.cuda.set_stream(torch.cuda.Stream())
                update, search = script.CudaGraph(update), script.CudaGraph(search)
        rng, metrics, actions = np.random.default_rng(1), [], []
        for _ in range(num_updates):
            metrics.append([value.item() for value in update().values()])
            obs = rng.standard_normal(OBS_SIZE).astype(np.float32)
            actions.append(search(torch.from_numpy(obs).to(device)).cpu().numpy())
    finally:
        script.greedy_action, script.training_loss = plain
    state = [*network.state_dict().values(), memory.rows, memory.priorities]
    return np.array(metrics), np.stack(actions), [value.cpu().numpy() for value in state]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "name", [LEARNING[0], *(pytest.param(name, marks=pytest.mark.slow) for name in LEARNING[1:])]
)
def test_compiled_computes_what_plain_computes(name, device):
    plain = updates_and_actions(name, device, fast=False)
    fast = updates_and_actions(name, device, fast=True)
    assert np.allclose(plain[0], fast[0], rtol=1e-4, atol=1e-5)
    assert np.allclose(plain[1], fast[1], atol=1e-6)  # the same actions chosen
    assert plain[0].std(0)[0] > 0.01  # and there was something to differ in
    for one, two in zip(plain[2], fast[2], strict=True):
        # Adam moves a weight by the learning rate even where its gradient is only rounding
        assert np.abs(one - two).mean() < 1e-4 and np.abs(one - two).max() < 8 * 5e-4 + 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_chooses_as_good_an_action(device):
    script = importlib.import_module("qmle_continuous")
    torch.manual_seed(0)
    network = script.QNetwork(OBS_SIZE, 3, 3).to(device)
    with torch.no_grad():
        network.joint_output.weight.mul_(50)  # values of the size that training ends with
        features = network.obs_stream(torch.randn(256, OBS_SIZE, device=device))
        actions = torch.rand(256, 101, 3, device=device) * 2 - 1
        q = network.q_values(features, actions)
        a_max = script.argmax_action(network, features, actions, bfloat16=True)
        lost = q.amax(1) - network.q_values(features, a_max.unsqueeze(1)).squeeze(1)
    assert lost.min() > -1e-4 and lost.max() < 0.1 * q.std(1).mean()
    assert lost.mean() < 0.01 * q.std(1).mean()
    assert 0 < (lost > 1e-4).float().mean() < 0.5  # it was bfloat16; mostly that is no matter


NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
FLAGS = "--env-id Pendulum-v1 --total-timesteps 250 --learning-starts 100 --batch-size 32"
FLAGS += " --buffer-size 5000"


def check_falls_back(tmp_path, cache, **env):
    script, env = (
        ROOT / "qmle_continuous.py",
        NO_GPU | {"TORCHINDUCTOR_CACHE_DIR": str(cache)} | env,
    )
    failed = run_process(script, FLAGS, tmp_path, **env)
    assert failed.returncode == 0 and "Traceback" not in failed.stderr, failed.stderr
    (line,) = [line for line in failed.stderr.splitlines() if "not compiled" in line]
    assert str(cache) in line
    assert run_process(script, f"{FLAGS} --no-compile", tmp_path, **env).returncode == 0
    one, two = (rows(path) for path in sorted(tmp_path.glob("runs/*/episodes.csv"))[-2:])
    assert one == two and len(one) == 2


def test_without_a_compiler_one_line_says_so_and_training_goes_on(tmp_path):
    check_falls_back(tmp_path, tmp_path / "cache", CXX="/nonexistent")


@pytest.mark.slow
def test_with_a_cut_file_in_the_cache_one_line_says_so_and_training_goes_on(tmp_path):
    cache = tmp_path / "cache"
    env = NO_GPU | {"TORCHINDUCTOR_CACHE_DIR": str(cache)}
    assert run_process(ROOT / "qmle_continuous.py", FLAGS, tmp_path, **env).returncode == 0
    for path in cache.rglob("*.so"):
        path.write_bytes(path.read_bytes()[:100])
    check_falls_back(tmp_path, cache)
