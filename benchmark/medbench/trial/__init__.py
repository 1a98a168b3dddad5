"""One trial: arrange, fit, predict, check, measure."""
