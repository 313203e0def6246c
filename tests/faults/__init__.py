"""The scoreboard of faults: each row injects a fault into real processes and checks what must hold."""
