"""Settings from environment, file and defaults; an unknown name suggests the nearest one."""
