"""Compiled networks run on other processors, which QEMU plays, and on this one."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcnn.export.compiled.compilation import Compiled
from gridcnn.export.compiled.header import Meaning, header
from gridcnn.grid import Array


@dataclass(frozen=True)
class Device:
    """A machine that runs programs: how they are built, and how they are started.

    Attributes:
        triple, cpu: what networks are compiled for.
        compile: the C compiler with its options.
        run: the command that a program's path follows.
        bare: whether there is no system: programs talk by semihosting.
        flash: kilobytes for code and constants, where there is no system.
        program: what the program is called.
    """

    triple: str
    cpu: str | None
    compile: Sequence[str]
    run: Sequence[str] = ()
    bare: bool = False
    flash: int = 4096
    program: str = "program"

    @property
    def programs(self) -> list[str]:
        """The programs that have to be installed."""
        return [self.compile[0], *self.run[:1]]


_CORTEX = ("arm-none-eabi-gcc", "-mthumb", "-nostdlib", "-nostartfiles", "-ffreestanding")
# With `icount` time passes by instructions: one of them is a nanosecond.
_QEMU = (
    *("qemu-system-arm", "-nographic", "-semihosting-config", "enable=on,target=native"),
    *("-icount", "shift=0"),
)
_TICK = 40
"""Instructions for each tick of the clock of these machines, which has 25 MHz."""
DEVICES = {
    "this": Device("x86_64-linux-gnu", None, ("gcc",)),
    "arm64": Device(
        *("aarch64-linux-gnu", "cortex-a72", ("aarch64-linux-gnu-gcc", "-static")),
        ("qemu-aarch64",),
    ),
    "arm32": Device(
        "armv7-linux-gnueabihf",
        None,
        (
            *("arm-none-eabi-gcc", "-marm", "-mcpu=cortex-a7", "-mfpu=neon-vfpv4"),
            *("-mfloat-abi=hard", "--specs=rdimon.specs", "-Wl,--no-warn-execstack"),
        ),
        ("qemu-arm",),
    ),
    "RISC-V": Device(
        *("riscv64-linux-gnu", None, ("riscv64-linux-gnu-gcc", "-static")),
        ("qemu-riscv64",),
    ),
    "Windows": Device(
        *("x86_64-pc-windows-msvc", None, ("x86_64-w64-mingw32-gcc", "-static")),
        ("wine",),
        program="program.exe",
    ),
    "Cortex-M4": Device(
        "thumbv7em-none-eabihf",
        None,
        (*_CORTEX, "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
        (*_QEMU, "-M", "mps2-an386", "-kernel"),
        bare=True,
    ),
    "Cortex-M7": Device(
        "thumbv7em-none-eabihf",
        "cortex-m7",
        (*_CORTEX, "-mcpu=cortex-m7", "-mfloat-abi=hard"),
        (*_QEMU, "-M", "mps2-an500", "-kernel"),
        bare=True,
    ),
    "Cortex-M55": Device(
        "thumbv8.1m.main-none-eabihf",
        None,
        (*_CORTEX, "-mcpu=cortex-m55", "-mfloat-abi=hard"),
        (*_QEMU, "-M", "mps3-an547", "-kernel"),
        bare=True,
        flash=512,
    ),
    "Cortex-M3": Device(
        *("thumbv7m-none-eabi", None, (*_CORTEX, "-mcpu=cortex-m3")),
        (*_QEMU, "-M", "mps2-an385", "-kernel"),
        bare=True,
    ),
    "Cortex-M0": Device(
        *("thumbv6m-none-eabi", None, (*_CORTEX, "-mcpu=cortex-m0")),
        (*_QEMU, "-M", "mps2-an385", "-kernel"),
        bare=True,
    ),
}

_SCRIPT = """
ENTRY(start)
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = SIZEK   RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 512K }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.ARM.*) } > FLASH
  .data : { *(.data*) *(.bss*) *(COMMON) } > RAM
}
"""
_BARE = """
void start(void);
extern int main(void);
__attribute__((section(".vectors"), used))
static const void *const vectors[2] = {(void *)0x20080000, (const void *)start};

static int host(int number, const void *what)
{
    register int r0 __asm__("r0") = number;
    register const void *r1 __asm__("r1") = what;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
static void out(const char *text) { host(4, text); }
static void start_clock(void)
{
    *(volatile unsigned *)0xE000E014 = 0xFFFFFF;
    *(volatile unsigned *)0xE000E018 = 0;
    *(volatile unsigned *)0xE000E010 = 5;
}
static uint32_t ticks(void) { return 0xFFFFFF - *(volatile unsigned *)0xE000E018; }
void start(void)
{
#ifdef __ARM_FP
    *(volatile unsigned *)0xE000ED88 |= 0xF << 20; /* the unit for floats */
    __asm__ volatile("dsb\\nisb");
#endif
    main();
    host(0x18, (const void *)0x20026);
    for (;;) {}
}
void *memset(void *to, int value, unsigned long count)
{
    unsigned char *byte = to;
    while (count--) *byte++ = (unsigned char)value;
    return to;
}
"""
_HOSTED = """
#include <stdio.h>
static void out(const char *text) { fputs(text, stdout); }
static void start_clock(void) {}
static uint32_t ticks(void) { return 0; }
"""
_MAIN = """
#define PAINTED 65536
#if defined(__x86_64__)
#define STACK(to) __asm__ volatile("mov %%rsp, %0" : "=r"(to))
#elif defined(__riscv)
#define STACK(to) __asm__ volatile("mv %0, sp" : "=r"(to))
#else
#define STACK(to) __asm__ volatile("mov %0, sp" : "=r"(to))
#endif

static void hex(uint32_t number)
{
    char text[10];
    for (int digit = 0; digit < 8; digit++)
        text[digit] = "0123456789abcdef"[number >> (28 - 4 * digit) & 15];
    text[8] = ' ', text[9] = 0;
    out(text);
}

static float votes[NAME_CLASSES];
static uint32_t work[NAME_WORK_BYTES / 4 + 2];
static uint32_t used, taken;

__attribute__((noinline)) static void paint(volatile unsigned char *top)
{
    for (int byte = 128; byte < PAINTED; byte++) top[-byte] = 0xA5;
}

__attribute__((noinline)) static int measured(const void *grid)
{
    volatile unsigned char *stack;
    STACK(stack);
    paint(stack);
    start_clock();
    int status = RUN;
    taken = ticks();
    uint32_t deepest = PAINTED - 1;
    while (deepest > 128 && stack[-(int)deepest] == 0xA5) deepest--;
    if (deepest > used) used = deepest;
    return status;
}

int main(void)
{
    for (unsigned item = 0; item < sizeof(grids) / sizeof(grids[0]); item++) {
        for (unsigned cell = 0; cell < sizeof(work) / 4; cell++) work[cell] = 0x7FC00000 + cell;
        hex((uint32_t)measured(grids[item]));
        for (int number = 0; number < NAME_CLASSES; number++) {
            uint32_t bits;
            __builtin_memcpy(&bits, &votes[number], 4);
            hex(bits);
        }
        hex(work[NAME_WORK_BYTES / 4]);
        out("\\n");
    }
    hex(used);
    hex(taken);
    out("\\n");
    return 0;
}
"""


def fits(device: Device, compiled: Compiled, grids: Array) -> bool:
    """Return whether a program for these grids has room on a device."""
    constants = len(compiled.content) + len(compiled.weights or b"") + 4 * grids.size
    memory = compiled.work_bytes + compiled.stack_bytes
    return not device.bare or (constants < device.flash * 900 and memory < 400_000)


class Run(NamedTuple):
    """What a program answered: `status` `(items,)`, `votes` `(items, classes)`, bytes of stack.

    Fewer than 128 bytes of stack are told as 128. `instructions` are those of the last answer, on
    machines that count them.
    """

    status: NDArray[np.int64]
    votes: NDArray[np.float32]
    stack: int
    instructions: int


def run_on(device: Device, compiled: Compiled, grids: Array, folder: Path) -> Run:
    """Return the answers for grids, or for their indices, on a device."""
    name = compiled.name
    classes = compiled.network.output.cells
    meaning = Meaning([str(number) for number in range(classes)])
    (folder / f"{name}.h").write_text(header(compiled, meaning))
    (folder / f"{name}.o").write_bytes(compiled.content)
    kind = "int32_t" if compiled.indices else "uint32_t"
    numbers = np.ascontiguousarray(grids, np.int32 if compiled.indices else np.float32)
    bits = numbers.reshape(len(grids), -1).view(np.int32 if compiled.indices else np.uint32)
    rows = ",\n".join("{" + ",".join(map(str, row)) + "}" for row in bits.tolist())
    arguments = "grid, votes, work"
    text = f'#include "{name}.h"\n' + (_BARE if device.bare else _HOSTED)
    if compiled.weights is not None:
        words = np.frombuffer(compiled.weights, np.uint32)
        text += f"static const uint32_t weights[] = {{{','.join(map(str, words.tolist()))}}};\n"
        arguments += ", weights"
    text += f"static const {kind} grids[][{bits.shape[1]}] = {{\n{rows}}};\n"
    text += _MAIN.replace("NAME", name.upper()).replace("RUN", f"{name}_run({arguments})")
    (folder / "main.c").write_text(text)
    (folder / "script.ld").write_text(_SCRIPT.replace("SIZE", str(device.flash)))
    # Linkers of GNU have something to say about those functions of GCC that are assembly.
    more = ["-T", "script.ld", "-lgcc", "-Wl,--no-warn-execstack"] if device.bare else []
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    subprocess.run(
        [*device.compile, *flags, "main.c", f"{name}.o", *more, "-o", device.program],
        cwd=folder,
        check=True,
    )
    # What a program says by semihosting, QEMU writes to the standard error.
    done = subprocess.run(
        [*device.run, f"./{device.program}"],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if device.bare else subprocess.DEVNULL,
        timeout=120,
    )
    *lines, last = [
        [int(word, 16) for word in line.split()] for line in done.stdout.decode().splitlines()
    ]
    table = np.array(lines, np.uint32)
    guard = 0x7FC00000 + compiled.work_bytes // 4
    assert (table[:, -1] == guard).all(), "it wrote beyond its work area"
    votes = np.ascontiguousarray(table[:, 1:-1]).view(np.float32)
    stack, taken = last
    return Run(table[:, 0].astype(np.int64), votes, stack, taken * _TICK)
