#!/usr/bin/env python3
"""A step of the article's objective by PyTorch on a card, as fast as it can: what `card.py` compares ours with.

    card_peer.py SIZE [--device cuda:0]
    card_peer.py --version [--device cuda:0]              PyTorch's version, where it has that device

Forward to conv5_1, Gram matrices and the content's distance, and backward to the pixels of a square picture of noise SIZE
pixels wide; weights are noise, too, on which the time does not depend. TF32 is allowed, cuDNN tries its algorithms,
channels lie last, and the step is captured and replayed as a CUDA graph. Prints one JSON object: `seconds`, the least
of nine; `megabytes` of the card's memory that PyTorch has reserved; and `operations_per_second` of a product of
8192 x 8192 matrices in TF32, the rate that the card can be expected to reach.
"""
import argparse
import json
import time

import torch
import torch.nn.functional as F

BLOCKS = [2, 2, 4, 4, 1]
CHANNELS = [64, 128, 256, 512, 512]
STYLE = {"conv1_1": 1.0, "conv2_1": 0.75, "conv3_1": 0.2, "conv4_1": 0.2, "conv5_1": 0.2}
CONTENT = "conv4_2"


def features(x, weights):
    found = {}
    for block, count in enumerate(BLOCKS, 1):
        if block > 1:
            x = F.max_pool2d(x, 2)
        for number in range(1, count + 1):
            name = f"conv{block}_{number}"
            x = F.relu(F.conv2d(x, *weights[name], padding=1))
            found[name] = x
    return found


def gram(maps):
    flat = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
    return flat.t() @ flat / flat.shape[0]


def least_seconds(run, wait, repetitions=9):
    times = []
    for _ in range(repetitions):
        wait()
        begun = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - begun)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, nargs="?")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--device", default="cuda:0")
    options = parser.parse_args()
    device = torch.device(options.device)
    on_card = device.type == "cuda"
    if options.version:
        torch.zeros(1, device=device)
        print(torch.__version__)
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    wait = torch.cuda.synchronize if on_card else lambda: None

    weights, inputs = {}, 3
    for block, (count, outputs) in enumerate(zip(BLOCKS, CHANNELS), 1):
        for number in range(1, count + 1):
            weight = torch.randn(outputs, inputs, 3, 3, device=device) * (2 / (9 * inputs)) ** 0.5
            weights[f"conv{block}_{number}"] = (weight.to(memory_format=torch.channels_last),
                                                torch.zeros(outputs, device=device))
            inputs = outputs

    def picture():
        noise = torch.rand(1, 3, options.size, options.size, device=device)
        return noise.to(memory_format=torch.channels_last)

    with torch.no_grad():
        style, content = features(picture(), weights), features(picture(), weights)[CONTENT]
        targets = {name: gram(style[name]) for name in STYLE}
        del style
    x = picture().requires_grad_()

    def step():
        x.grad = None
        found = features(x, weights)
        loss = (found[CONTENT] - content).pow(2).mean()
        for name, weight in STYLE.items():
            loss = loss + weight * (gram(found[name]) - targets[name]).pow(2).mean()
        loss.backward()

    run = step
    if on_card:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        # What tuning took is not counted.
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        x.grad = None
        with torch.cuda.graph(graph):
            step()
        run = graph.replay
    run()
    seconds = least_seconds(run, wait)
    megabytes = torch.cuda.memory_reserved() / 2**20 if on_card else 0.0

    side = 8192 if on_card else 512
    a, b = torch.randn(side, side, device=device), torch.randn(side, side, device=device)
    a @ b
    rate = 2 * side**3 / least_seconds(lambda: a @ b, wait)
    print(json.dumps({"seconds": seconds, "megabytes": megabytes, "operations_per_second": rate}))


if __name__ == "__main__":
    main()
