"""System calls that are refused inside a sandbox, as a seccomp filter: a small program that the kernel asks.

Namespaces don't hold them all. A socket of the family vsock reaches the host of a virtual machine without a
network; keyrings outlive a sandbox; some memory is counted by no rlimit; the rest no answer needs, and flaws
of the kernel were found there. They fail with EPERM. (seccomp(2); numbers from the kernel's tables.)
"""

import platform
import struct

DENIED = {  # name: its number on x86_64 and on aarch64
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "memfd_create": (319, 279),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
FAMILIES = (1, 2, 10, 16)  # of sockets: unix, IPv4, IPv6, and netlink, which asking for a name needs
MACHINES = {"x86_64": (0, 0xC000003E, 41), "aarch64": (1, 0xC00000B7, 198)}  # column, architecture, socket()
OTHER_ABI = 0x40000000  # x86_64's calls again, by other numbers (x32)
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # where they stand in struct seccomp_data
ALLOW, REFUSE = 0x7FFF0000, 0x00050001  # the latter with errno 1, EPERM


def seccomp_filter(machine: str = platform.machine()) -> bytes:
    """The filter's program; b"" for a machine whose numbers are not known here."""
    if machine not in MACHINES:
        return b""
    column, architecture, socket = MACHINES[machine]
    refused = [(EQUAL, numbers[column]) for numbers in DENIED.values()] + [(AT_LEAST, OTHER_ABI)]
    # Jumps count the instructions that are left out: to `allow` at the end, or to `refuse` after it.
    program = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, REFUSE)]
    program += [(LOAD, 0, 0, NUMBER)]
    for code, number in refused:
        program += [(code, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    program += [(EQUAL, 1, 0, socket), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST_ARGUMENT)]
    for family in FAMILIES:
        program += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    program += [(RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)
