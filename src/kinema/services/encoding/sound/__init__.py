"""Sound: measured whole, brought to one loudness without touching its dynamics, encoded whole as AAC and Opus."""
