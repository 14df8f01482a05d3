import unittest, sys, os
def tearDownModule(): print("module torn down")
class A(unittest.TestCase):
    def test_ok(self): print("hi")
    def test_bad(self):
        print("out"); print("err", file=sys.stderr)
        self.assertEqual([1, 2], [1, 3], "lists")
    def test_error(self): raise RuntimeError("bad thing")
    @unittest.skip("not now")
    def test_skip(self): pass
    def test_skip_in(self): self.skipTest("inside")
    @unittest.expectedFailure
    def test_xfail(self): self.fail("as known")
    @unittest.expectedFailure
    def test_xpass(self): pass
    def test_sub(self):
        for i in range(3):
            with self.subTest("part", i=i): self.assertNotEqual(i, 1)
    def test_subskip(self):
        for i in range(3):
            with self.subTest(i=i):
                if i == 1: self.skipTest("one")
    def test_exit(self): os._exit(0)
    def test_sysexit(self): sys.exit(0)
    def test_segv(self): import ctypes; ctypes.string_at(0)
class B(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise ValueError("no class")
    def test_x(self): pass
class C(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise unittest.SkipTest("class off")
    def test_x(self): pass
@unittest.skip("all off")
class D(unittest.TestCase):
    def test_x(self): pass
class E(unittest.IsolatedAsyncioTestCase):
    async def test_async(self): self.assertTrue(True)
class F(unittest.TestCase):
    def setUp(self): self.addCleanup(self.broken)
    def broken(self): raise OSError("cleanup broke")
    def test_x(self): pass
