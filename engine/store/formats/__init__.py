"""Foreign formats, one file each: reading as a MaskSource, writing from one."""
