"""The engine beside its peers: time, memory and error of one metagradient, a process for each contestant."""
