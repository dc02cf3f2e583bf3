"""Where state lives: the ports that services code against, and one file per engine behind them."""
