"""The errors a user can cause. The command line prints them as they are and exits with 2."""


class ConvnetError(Exception):
    """Something the user gave is wrong or missing; the message says what, where and what was expected."""


class DeviceMemoryError(ConvnetError):
    """A device has too little memory. `device`: its name. `needed`, `free`: bytes."""

    def __init__(self, device: str, needed: int, free: int) -> None:
        super().__init__(f"{device}: {needed:,} bytes of memory needed, {free:,} free")
        self.device, self.needed, self.free = device, needed, free
