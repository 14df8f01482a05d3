import sys, os, pytest, logging
def test_passes(): print("hi")
def test_fails():
    """doc"""
    print("out"); print("err", file=sys.stderr); logging.getLogger("x").warning("logged")
    assert [1, 2] == [1, 3], "lists"
@pytest.mark.parametrize("x", ["a b", "ü", "x[y]::z", "line\nbreak", "-dash", b"\xff", "", None])
def test_param(x): assert x != "ü"
@pytest.mark.skip(reason="not now")
def test_skip(): pass
def test_skip_inside(): pytest.skip("inside")
@pytest.mark.xfail(reason="known")
def test_xfail(): assert 0
@pytest.mark.xfail(reason="known", strict=True)
def test_xpass_strict(): pass
@pytest.mark.xfail
def test_xpass(): pass
def test_setup(broken): pass
def test_teardown(teardown): pass
def test_nofixture(nope): pass
def test_exit(): sys.exit(0)
def test_os_exit(): os._exit(0)
def test_os_exit3(): os._exit(3)
def test_segv(): import ctypes; ctypes.string_at(0)
def test_importorskip(): pytest.importorskip("no_such_mod")
def test_pytest_exit(): pytest.exit("stop all")
def test_close(): os.close(1); os.close(2)
class TestC:
    @pytest.mark.slow
    def test_m(self): pass
