"""The network on OpenVINO: a CPU, without torch once a checkpoint was converted."""
