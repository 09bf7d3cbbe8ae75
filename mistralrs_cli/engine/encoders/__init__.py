"""The outputs of vision and audio encoders, kept for media that come again."""
