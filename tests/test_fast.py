"""What makes a run fast must not change what it computes."""

import importlib
from unittest.mock import Mock

import numpy as np
import qmle_continuous
import torch
from conftest import DEVICES, LEARNING, ROOT, make_update, rows, run_process, tiny
from pytest import mark, param

LAST = dict(zip(LEARNING, [(3, 3), ((3, 3, 3), True), ((3, 3, 3),)], strict=True))


def updates_and_actions(name, device, patch=None):
    """Metrics, greedy actions and the final state of updates, fast with a patch."""
    script = importlib.import_module(name)
    args = script.Args(buffer_size=2000, batch_size=64)
    args.num_greedy_samples = 100  # delta draws no noise: compilers may draw earlier
    torch.manual_seed(0)
    made = network, _, _, memory = make_update(script, args, LAST[name], 900, device)
    device_obs = torch.zeros(5, device=device)

    def update():
        return script.train_step(*made, args)

    def search():
        return script.greedy_action(network, args, device_obs)

    if patch:
        options = {"dynamic": False, "options": {"fallback_random": True}}
        for slow in (script.greedy_action, script.training_loss):
            patch(script, slow.__name__, torch.compile(slow, **options))
        if device == "cuda":
            torch.cuda.set_stream(torch.cuda.Stream())
            update, search = script.CudaGraph(update), script.CudaGraph(search)
    metrics, actions = [], []
    for obs in np.random.default_rng(1).standard_normal((8, 5)):
        metrics.append([value.item() for value in update().values()])
        device_obs.copy_(torch.from_numpy(obs))
        actions.append(search().cpu().numpy())
    state = [*network.state_dict().values(), memory.rows, memory.priorities]
    return np.array(metrics), np.stack(actions), [value.cpu().numpy() for value in state]


@mark.parametrize("name", ["qmle_continuous_multiseed", "qmle_plus"])
def test_what_is_compiled_is_used(name, run, patch):
    made = []
    patch(torch, "compile", lambda f, **_: made.append(Mock(wraps=f)) or made[-1])
    run(name, f"{tiny(name, 'Reach', 150)} --num-seeds 2 --compile")
    assert sorted(f.call_count for f in made)[-2] > 4  # updates, not the first call alone


@mark.parametrize("device", DEVICES)
@mark.parametrize("name", [LEARNING[0], *(param(name, marks=mark.slow) for name in LEARNING[1:])])
def test_compiled_is_plain(name, device, patch):
    plain = updates_and_actions(name, device)
    fast = updates_and_actions(name, device, patch)
    assert np.allclose(plain[0], fast[0], rtol=1e-4, atol=1e-5)
    assert np.allclose(plain[1], fast[1], atol=1e-6)
    assert plain[0].std(0)[0] > 0.01
    for one, two in zip(plain[2], fast[2], strict=True):
        # Adam moves a weight even where its gradient is only rounding
        assert np.abs(one - two).mean() < 1e-4 and np.abs(one - two).max() < 8 * 5e-4 + 1e-4


@mark.parametrize("device", DEVICES)
def test_bfloat16(device):
    network = qmle_continuous.QNetwork(5, 3, 3).to(device)
    with torch.no_grad():
        network.joint_output.weight.mul_(50)  # as after training
        features = network.obs_stream(torch.randn(256, 5, device=device))
        actions = torch.rand(256, 101, 3, device=device) * 2 - 1
        q = network.q_values(features, actions)
        a_max, *_ = qmle_continuous.argmax_action(network, features, actions, bfloat16=True)
        lost = q.amax(1) - network.q_values(features, a_max.unsqueeze(1)).squeeze(1)
    assert lost.min() > -1e-4 and lost.max() < 0.1 * q.std(1).mean()
    assert lost.mean() < 0.01 * q.std(1).mean()
    assert 0 < (lost > 1e-4).float().mean() < 0.5  # it was bfloat16


def test_without_a_compiler(tmp_path, run):
    flags = tiny("qmle_continuous", "Pendulum-v1", 250)
    script, cache = ROOT / "qmle_continuous.py", tmp_path / "cache"
    env = {"CUDA_VISIBLE_DEVICES": "", "TORCHINDUCTOR_CACHE_DIR": str(cache), "CXX": "/none"}
    status, _, errors = run_process(script, flags, tmp_path, **env)
    assert status == 0 and "Traceback" not in errors, errors
    assert errors.count("not compiled") == 1
    run("qmle_continuous", f"{flags} --no-cuda")
    one, two = (rows(path) for path in tmp_path.glob("runs/*/episodes.csv"))
    assert one == two and len(one) == 2
