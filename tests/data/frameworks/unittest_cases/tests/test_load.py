import unittest
def setUpModule(): raise unittest.SkipTest("module off")
class P(unittest.TestCase):
    def runTest(self): pass
    def __init__(self, n=0): super().__init__(); self.n = n
def load_tests(loader, tests, pattern):
    return unittest.TestSuite(P(i) for i in range(2))
