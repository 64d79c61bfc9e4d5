"""From LLVM's text to functions: where their code lies in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.native import compiler as of_compilers
from gridcnn.engines.native.processor import processor
from gridcnn.errors import EngineError

# Leaves holes of one page each, with far more than 2 GB between them and all other free memory. So
# what of a program fits into a hole lies far from what does not, unless both are placed together.
_FAR_APART = '''
import ctypes, os
os.environ["GRIDCNN_CACHE"] = "off"
from gridcnn.engines.native.compiler import Compiled, translate
from gridcnn.engines.native.processor import processor

PAGE = os.sysconf("SC_PAGE_SIZE")
FLAGS = 0x02 | 0x20 | 0x4000  # MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
library = ctypes.CDLL(None)
library.mmap.restype = ctypes.c_void_p
library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

text = """
@table = internal constant [1000 x i64] [i64 7{}]
define void @read(ptr %to, ptr %place) noinline nounwind {{
  %n = load i64, ptr %place
  %from = getelementptr [1000 x i64], ptr @table, i64 0, i64 %n
  %found = load i64, ptr %from
  store i64 %found, ptr %to
  ret void
}}
""".format(", i64 9" * 999)
code = translate(text, processor())

def reserve(size):
    return library.mmap(None, size, 0, FLAGS, -1, 0)

pages = [reserve(PAGE) for _ in range(2000)]
far = reserve(8 << 30)
for size in (2**24, 2**20, 2**16, 2 * PAGE):  # leave no other holes that the constants fit into
    while reserve(size) > far:
        pass
for page in pages[1000::2]:
    library.munmap(page, PAGE)
to, place = ctypes.c_int64(), ctypes.c_int64(999)
compiled = Compiled(code, "read", processor(), 2)
compiled.call(ctypes.addressof(to), ctypes.addressof(place))
print(to.value)
'''


def test_llvm_is_not_asked_if_it_may_run_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the process."""
    text = "define void @nothing() { ret void }"
    code = of_compilers.translate(text, processor())
    monkeypatch.setattr(of_compilers, "has_room", lambda size: False)

    with pytest.raises(EngineError, match=r"not enough memory to compile the network: 8\.0 MB"):
        of_compilers.translate(text, processor())
    with pytest.raises(EngineError, match=r"not enough memory to compile the network: 4\.0 MB"):
        of_compilers.Compiled(code, "nothing", processor(), 0)


@pytest.mark.skipif(sys.platform != "linux", reason="lays out memory as Linux does")
def test_code_reaches_its_constants_also_if_free_memory_is_in_pieces() -> None:
    """They are in reach of each other's instructions, which is 2 GB."""
    ended = subprocess.run(
        [sys.executable, "-c", _FAR_APART], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "9\n"), ended.stderr
