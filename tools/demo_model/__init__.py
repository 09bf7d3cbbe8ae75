"""How the bundled demo model is drawn for, trained and measured."""

from mistralrs_cli.loading.torchvision import ensure_importable

ensure_importable()
